/**
 * A directory of transformers with Flax weights: config.json, flax_model.msgpack or shards of it.
 *
 * Dense layers are kernels [in, out]; Hugging Face's weights are their transposes.
 * Source: modeling_flax_pytorch_utils.py of transformers 4.44.
 */
import { PronkError } from "../errors.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { type FlaxArray, readFlax } from "../formats/msgpack/read-flax.ts";
import { printable } from "../formats/printable.ts";
import { readShardIndex } from "../formats/safetensors/read-sharded.ts";
import { storedTensor } from "../formats/stored-tensor.ts";
import { stridedTensor } from "../formats/strided-tensor.ts";
import type { SourceFolder } from "../sources/source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { openIfPresent } from "./companion-files.ts";
import { openConfigured } from "./hf-directory.ts";

export const FLAX_NAME = "flax_model.msgpack";
export const FLAX_INDEX_NAME = "flax_model.msgpack.index.json";

/** What Flax calls a weight. */
const WEIGHTS = new Set(["kernel", "embedding", "scale", "weight"]);

/**
 * Opens the directory; reads no weight.
 *
 * @throws PronkError "not_found"; "bad_format"; "unsupported" on arrays of other types or kinds;
 *   "source_failed"; "aborted".
 */
export function openFlaxDirectory(folder: SourceFolder, signal?: AbortSignal): Promise<Checkpoint> {
  return openConfigured(folder, signal, async () => {
    const tensors = new Map<string, FloatTensor>();
    for (const [path, array] of await readArrays(folder, signal)) {
      const tensor = renamed(path, array);
      tensors.set(tensor.name, tensor);
    }
    return tensors;
  });
}

async function readArrays(
  folder: SourceFolder,
  signal: AbortSignal | undefined,
): Promise<Map<string, FlaxArray>> {
  const single = await openIfPresent(folder, FLAX_NAME, signal);
  if (single !== undefined) return readFlax(single, signal);
  const all = new Map<string, FlaxArray>();
  const index = await readShardIndex(folder, FLAX_INDEX_NAME, signal);
  for (const file of new Set(index.values())) {
    const arrays = await readFlax(await folder.open(file, signal), signal);
    for (const [path, array] of arrays) all.set(path, array);
  }
  const missing = [...index.keys()].find((path) => !all.has(path));
  if (missing === undefined) return all;
  const what = `tensor ${printable(missing)} is in no shard`;
  throw new PronkError("bad_format", `${folder.name}: ${what}`);
}

function renamed(path: string, { type, shape, source, start }: FlaxArray): FloatTensor {
  const parts = path.split("/");
  const kind = parts.at(-1)!;
  if (!WEIGHTS.has(kind) && kind !== "bias") {
    const what = `${source.name}: ${printable(path)}: neither a weight nor a bias`;
    throw new PronkError("unsupported", what);
  }
  const name = [...parts.slice(0, -1), kind === "bias" ? "bias" : "weight"].join(".");
  if (kind !== "kernel") return storedTensor(name, type, shape, source, start);
  const [inputs, outputs] = shape;
  if (shape.length !== 2) {
    const what = `${source.name}: ${printable(path)}: a kernel of shape [${shape}]`;
    throw new PronkError("unsupported", what);
  }
  const strides = [1, outputs!];
  return stridedTensor({ name, type, shape: [outputs!, inputs!], strides, source, start });
}
