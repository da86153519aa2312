/**
 * A directory of transformers with PyTorch's own files: config.json, pytorch_model.bin or shards of it
 * and pytorch_model.bin.index.json. Only the restricted unpickler reads them.
 */
import { PronkError } from "../errors.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { printable } from "../formats/printable.ts";
import { readShardIndex } from "../formats/safetensors/read-sharded.ts";
import { readTorch, type StateTensor } from "../formats/torch/read-torch.ts";
import type { SourceFolder } from "../sources/source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { openIfPresent } from "./companion-files.ts";
import { openConfigured } from "./hf-directory.ts";

export const TORCH_BIN_NAME = "pytorch_model.bin";
export const TORCH_BIN_INDEX_NAME = "pytorch_model.bin.index.json";

/** Buffers that old versions of transformers saved and that the configuration gives. */
const IGNORED = /(?:^|\.)(?:rotary_emb\.inv_freq|position_ids|masked_bias|attn\.bias)$/;

/**
 * Opens the directory; reads no weight.
 *
 * @throws PronkError "not_found"; "bad_format"; "unsupported" on tensors of other types, and on what a
 *   pickle asks for; "source_failed"; "aborted".
 */
export function openTorchBinDirectory(
  folder: SourceFolder,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  return openConfigured(folder, signal, async () => {
    const tensors = new Map<string, FloatTensor>();
    for (const [key, tensor] of await readStates(folder, signal)) {
      if (!IGNORED.test(key)) tensors.set(key, tensor.open(key));
    }
    return tensors;
  });
}

async function readStates(
  folder: SourceFolder,
  signal: AbortSignal | undefined,
): Promise<Map<string, StateTensor>> {
  const single = await openIfPresent(folder, TORCH_BIN_NAME, signal);
  if (single !== undefined) return readTorch(single, signal);
  const index = await readShardIndex(folder, TORCH_BIN_INDEX_NAME, signal);
  const shards = new Map<string, Map<string, StateTensor>>();
  for (const file of new Set(index.values())) {
    shards.set(file, await readTorch(await folder.open(file, signal), signal));
  }
  const all = new Map<string, StateTensor>();
  for (const [key, file] of index) {
    const tensor = shards.get(file)!.get(key);
    if (tensor === undefined) {
      const what = `tensor ${printable(key)} is not in ${file}`;
      throw new PronkError("bad_format", `${folder.name}: ${what}`);
    }
    all.set(key, tensor);
  }
  return all;
}
