/** --snapshot FILE, as often as there are some. */
import { readFile } from "node:fs/promises";
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import { textsOption } from "./arguments.ts";
import type { Arguments, OptionSpecs } from "./command.ts";

export const SNAPSHOT_OPTION: OptionSpecs = {
  snapshot: {
    type: "string",
    value: "FILE",
    help: "of pronk snapshot: prompts that begin so are read from there; may be given again",
    multiple: true,
    group: "Speed",
  },
};

/** @throws PronkError "not_found"; as loadSnapshot, and the engine is disposed then. */
export async function loadSnapshots(engine: Engine, input: Arguments): Promise<Engine> {
  try {
    for (const path of textsOption(input, "snapshot")) {
      const bytes = await readFile(path).catch((cause: Error) => {
        throw new PronkError("not_found", `${path}: ${cause.message}`, { cause });
      });
      await engine.loadSnapshot(bytes).catch((error: unknown) => {
        if (!(error instanceof PronkError)) throw error;
        throw new PronkError(error.code, `${path}: ${error.message}`, { cause: error });
      });
    }
    return engine;
  } catch (error) {
    await engine.dispose();
    throw error;
  }
}
