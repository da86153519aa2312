/**
 * What a LoRA adapter takes in a memory of its own: its factors and what it replaces, as the float kernels read them, and
 * room for a few rows. bf16 stays bf16; what is wider becomes f32.
 */
import type { LoraAdapter } from "../../../adapters/lora-adapter.ts";
import { asTensorInfo } from "../../../checkpoints/checkpoint-entries.ts";
import type { FloatTensor } from "../../../formats/float-tensor.ts";
import { EMBEDDING } from "../../../model/tensors.ts";
import type { PackedTensor } from "../../../pack/manifest.ts";
import { type PackEntry, planImage } from "../../../pack/packer.ts";

export interface AdapterImage {
  readonly entries: readonly PackEntry[];
  readonly tensors: ReadonlyMap<string, PackedTensor>;
  readonly bytes: number;
}

/** Names in the image. */
export const factorName = (module: string, letter: "A" | "B" | "bias"): string =>
  `${module}.lora_${letter}`;

/** @throws PronkError "unsupported" on sizes that no kernel takes. */
export function planAdapterImage(adapter: LoraAdapter): AdapterImage {
  const entries: PackEntry[] = [];
  const add = (name: string, tensor: FloatTensor): void => {
    const isVector = tensor.shape.length === 1;
    // Rows of embeddings are read by themselves: as f32.
    const isBf16 = tensor.type === "BF16" && !name.startsWith(EMBEDDING.replace("weight", ""));
    const form = isVector ? "vector" : isBf16 ? "bf16" : "f32";
    entries.push({ name, tensor: asTensorInfo({ ...tensor, name }, adapter.name), form });
  };
  for (const [module, { a, b, bias }] of adapter.modules) {
    add(factorName(module, "A"), a);
    add(factorName(module, "B"), b);
    if (bias) add(factorName(module, "bias"), bias);
  }
  for (const [name, tensor] of adapter.replaced) add(name, tensor);
  const { tensors, weightBytes: bytes } = planImage(entries);
  return { entries, tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), bytes };
}
