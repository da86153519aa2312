/** --svg FILE: the option, and the file. */
import { PronkError } from "../../errors.ts";
import { writeFileAtomically } from "../../platform/host/atomic-file.ts";
import { textOption } from "../arguments.ts";
import type { Arguments, Command } from "../command.ts";

export const SVG_OPTION: Command["options"] = {
  svg: { type: "string", value: "FILE", help: "also draw it, as SVG" },
};

/** Draws where --svg asks for it. @throws PronkError "not_found" where the file cannot be written. */
export async function writePicture(input: Arguments, draw: () => string): Promise<void> {
  const path = textOption(input, "svg");
  if (path === undefined) return;
  await writeFileAtomically(path, new TextEncoder().encode(draw())).catch((cause: Error) => {
    throw new PronkError("not_found", `${path}: ${cause.message}`, { cause });
  });
}
