/** One load of a pack, on any runtime, and what came of it: the digest of all its bytes and a few tokens, or how it failed. */
import { createEngine } from "../../src/engine/create-engine.ts";
import { loadModel } from "../../src/engine/load-model.ts";
import type { Runtime } from "../../src/engine/runtime.ts";
import { type Digest, sha256 } from "../../src/pack/digest.ts";
import { loadBlob, loadWeights, readManifest } from "../../src/pack/loader.ts";
import { retryingFolder } from "../../src/sources/retrying.ts";
import type { SourceFolder } from "../../src/sources/source.ts";

export interface Loaded {
  /** SHA-256 of the image and the tokenizer. */
  readonly digest?: string;
  /** What the model says, where a runtime is given to run it. */
  readonly ids?: readonly number[];
  readonly error?: { readonly code: string; readonly message: string };
}

/** Of waits: a few milliseconds instead of seconds, as many tries as there always are. */
const BASE_MS = 2;

const REQUEST = { prompt_ids: [7, 300, 12, 45], max_tokens: 8, temperature: 0, ignore_eos: true };

/** Weights alone, into the beginning of memory that is there. */
export async function loadImage(
  folder: SourceFolder,
  memory: Uint8Array,
  hash: Digest,
): Promise<Loaded> {
  const retried = retryingFolder(folder, { baseMs: BASE_MS });
  return caught(async () => {
    const manifest = await readManifest(retried);
    const image = memory.subarray(0, manifest.weight_bytes);
    await loadWeights(retried, manifest, image, { digest: hash });
    return { digest: await sha256(image, hash) };
  });
}

/** @param runtime loads it again, into an engine, and asks that. */
export async function loadPack(folder: SourceFolder, runtime?: Runtime): Promise<Loaded> {
  const retried = retryingFolder(folder, { baseMs: BASE_MS });
  return caught(async () => {
    const manifest = await readManifest(retried);
    const image = new Uint8Array(manifest.weight_bytes);
    await loadWeights(retried, manifest, image);
    const blob = await loadBlob(retried, manifest.tokenizer!);
    const all = new Uint8Array(image.length + blob.length);
    all.set(image);
    all.set(blob, image.length);
    const digest = await sha256(all);
    return runtime ? { digest, ids: await idsOf(retried, runtime) } : { digest };
  });
}

async function caught(load: () => Promise<Loaded>): Promise<Loaded> {
  try {
    return await load();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    // What is no PronkError has no code of ours: it fails every test.
    return { error: { code: code ?? "none", message: String(message) } };
  }
}

async function idsOf(pack: SourceFolder, runtime: Runtime): Promise<readonly number[]> {
  const model = await loadModel({ pack }, runtime, { ctx: 64, slots: 1 });
  const engine = createEngine(model, runtime, { speculate: "off" });
  try {
    return (await engine.generate(REQUEST)).ids;
  } finally {
    await engine.dispose();
  }
}
