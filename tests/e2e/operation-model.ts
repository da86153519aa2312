/** The small model of the tests of faults: two layers, 1,256 tokens, with a tokenizer; and its pack. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { loadBlob, loadWeights, readManifest } from "../../src/pack/loader.ts";
import type { Manifest } from "../../src/pack/manifest.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import type { SourceFolder } from "../../src/sources/source.ts";
import { writeTinyLlama } from "../support/seed-models.ts";
import { type HubServer, startHubServer } from "../unit/platform/hub-server.ts";

export const MAIN: string = join(packageRoot(), "dist", "src", "cli", "main.js");

const PACK_TIMEOUT_MS = 180_000;

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

/** Reads every byte of a pack, here or elsewhere. @throws where one is not what the manifest says. */
export async function readWholePack(pack: string | SourceFolder): Promise<Manifest> {
  const folder = typeof pack === "string" ? directoryFolder(nodeHost, pack) : pack;
  const manifest = await readManifest(folder);
  await loadWeights(folder, manifest, new Uint8Array(manifest.weight_bytes));
  if (manifest.tokenizer) await loadBlob(folder, manifest.tokenizer);
  return manifest;
}

/** A hub that has the model as tiny/llama. */
export async function startModelHub(model: string): Promise<HubServer> {
  const hub = await startHubServer();
  const files = readdirSync(model).map((name) => {
    const bytes = new Uint8Array(readFileSync(join(model, name)));
    return [name, { bytes, lfs: name.endsWith(".safetensors") }] as const;
  });
  hub.publish("tiny/llama", Object.fromEntries(files));
  return hub;
}
