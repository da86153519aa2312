/** The hash on workerd: workers/hash.ts in Miniflare, with the pack in its R2. */

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NUMBERS_VERSION } from "../backends/wasm/numbers-version.ts";
import { packModel } from "../engine/pack-model.ts";
import { PronkError } from "../errors.ts";
import { directoryTarget } from "../platform/host/directory.ts";
import type { Arguments, CliContext } from "./command.ts";
import type { HashDocument, HashSizes } from "./hash.ts";
import { modelOptions, openForCommand } from "./model-options.ts";
import { startWorkerd } from "./workerd.ts";

/** For 716 positions one by one. */
const TIMEOUT_MS = 300_000;

/** @throws PronkError */
export async function hashOnWorkerd(
  input: Arguments,
  cli: CliContext,
  sizes: HashSizes,
): Promise<HashDocument> {
  if (modelOptions(input).simdWidth === 256) {
    throw new PronkError("unsupported", "simdWidth 256: not on workerd");
  }
  return withPackDirectory(input, cli, async (pack) => {
    const workerd = await startWorkerd("hash", pack);
    try {
      const url = new URL(workerd.url);
      const { kv, kernel, backend } = modelOptions(input);
      for (const [name, value] of Object.entries({ ...sizes, kv, kernel, backend })) {
        if (value !== undefined) url.searchParams.set(name, String(value));
      }
      const limit = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(url, { signal: AbortSignal.any([cli.signal, limit]) });
      const answer = (await response.json()) as HashDocument & { error?: string };
      if (answer.error !== undefined) throw new PronkError("engine_failed", answer.error);
      return {
        ...answer,
        runtime: "workerd",
        version: workerd.version,
        numbers_version: NUMBERS_VERSION,
        simd_width: 128,
        threads: 1,
        ...sizes,
      };
    } finally {
      await workerd.close();
    }
  });
}

/** The model's pack as a directory; made in a temporary one where the model is a file. */
async function withPackDirectory<Result>(
  input: Arguments,
  cli: CliContext,
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  const named = await openForCommand(input, cli);
  const temporary = await mkdtemp(join(tmpdir(), "pronk-pack-"));
  try {
    // The folder of a pack on disk is named by its path.
    if ("pack" in named.input) {
      const path = named.input.pack.name;
      if (existsSync(path)) return await use(path);
      throw new PronkError("unsupported", `workerd: ${path} is not a directory; pull it first`);
    }
    const { quantization, profile } = modelOptions(input);
    await packModel(named.input, directoryTarget(temporary), {
      quantization,
      profile,
      signal: cli.signal,
    });
    return await use(temporary);
  } finally {
    await named.close();
    await rm(temporary, { recursive: true, force: true });
  }
}
