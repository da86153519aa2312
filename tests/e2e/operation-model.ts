/** The small model of the tests of faults: two layers, 1,256 tokens, with a tokenizer; and its pack. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { writeTinyLlama } from "../support/seed-models.ts";

export const MAIN: string = join(packageRoot(), "dist", "src", "cli", "main.js");

const PACK_TIMEOUT_MS = 60_000;

/** A checkpoint in `folder/model`. */
export async function writeModel(folder: string, seed = 1): Promise<string> {
  const model = join(folder, `model-${seed}`);
  await writeTinyLlama(model, "llama3", { seed });
  return model;
}

/** @returns where its pack is, in shards of 64 KiB. */
export function packModel(model: string, out: string, ...more: string[]): string {
  const args = [MAIN, "pack", model, "--out", out, "--shard-size", "65536", "--json", ...more];
  execFileSync(process.execPath, args, {
    timeout: PACK_TIMEOUT_MS,
    stdio: ["ignore", "pipe", "pipe"],
  });
  return out;
}
