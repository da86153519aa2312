/**
 * `merge_and_unload`: active adapters become part of the weights. What they change is computed from what the kernels
 * read, and takes the form that it had; the rest keeps its bytes.
 */
import type { WeightedAdapter } from "../../adapters/merge-lora.ts";
import { mergeLora } from "../../adapters/merge-lora.ts";
import type { Checkpoint } from "../../checkpoints/checkpoint.ts";
import { asTensorInfo } from "../../checkpoints/checkpoint-entries.ts";
import { packedFloatTensor } from "../../checkpoints/packed-tensors.ts";
import { EMBEDDING } from "../../model/tensors.ts";
import { type PackEntry, planImage } from "../../pack/image-plan.ts";
import { packTensors } from "../../pack/packer.ts";
import type { LlamaConfig } from "../llama-config.ts";
import type { BuildRunner, BuiltRunner } from "./runner-build.ts";

/** @throws PronkError as mergeLora and the builder; the model is then as it was. */
export async function mergedRunner(
  { runner, tensors }: BuiltRunner,
  config: LlamaConfig,
  adapters: readonly WeightedAdapter[],
  build: BuildRunner,
): Promise<BuiltRunner> {
  const { weights } = runner;
  const read = (from: number, to: number): Uint8Array => weights.subarray(from, to);
  const base: Checkpoint = {
    name: "the model",
    config: config.toJSON(),
    tensors: new Map(tensors.map((tensor) => [tensor.name, packedFloatTensor(tensor, read)])),
  };
  const merged = mergeLora(base, adapters);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const entries = [...merged.tensors].map(([name, tensor]): PackEntry => {
    // A head that was the embedding has its form.
    const { form } = byName.get(name) ?? byName.get(EMBEDDING)!;
    return { name, form, tensor: asTensorInfo(tensor, base.name) };
  });
  const changed = (name: string): boolean => merged.tensors.get(name) !== base.tensors.get(name);
  const image = planImage(entries);
  const built = await build(
    { ...config.toModelConfig(), tie_word_embeddings: merged.config.tie_word_embeddings === true },
    {
      ...image,
      async load(destination) {
        for (const [i, { name, offset, bytes }] of image.tensors.entries()) {
          const own = byName.get(name);
          if (own && !changed(name)) {
            destination.set(weights.subarray(own.offset, own.offset + own.bytes), offset);
            continue;
          }
          const place = destination.subarray(offset, offset + bytes);
          await packTensors([entries[i]!], (at, packed) => {
            // An image of one tensor is padded to its alignment.
            place.set(packed.subarray(0, bytes - at), at);
          });
        }
      },
    },
  );
  config.tie_word_embeddings = merged.config.tie_word_embeddings === true;
  return built;
}
