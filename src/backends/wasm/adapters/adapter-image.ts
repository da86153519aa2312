/**
 * What a LoRA adapter takes in a memory of its own: its factors and what it replaces, as the float kernels read them, and
 * room for a few rows. bf16 stays bf16; what is wider becomes f32.
 */
import type { LoraAdapter } from "../../../adapters/lora-adapter.ts";
import { asTensorInfo } from "../../../checkpoints/checkpoint-entries.ts";
import type { FloatTensor } from "../../../formats/float-tensor.ts";
import type { Plan } from "../../../model/plan.ts";
import { EMBEDDING } from "../../../model/tensors.ts";
import { type PackEntry, planImage } from "../../../pack/image-plan.ts";
import type { PackedTensor } from "../../../pack/manifest.ts";
import { adaptedWeight, moduleOf } from "../../adapted-tensors.ts";

export interface AdapterImage {
  readonly entries: readonly PackEntry[];
  readonly tensors: ReadonlyMap<string, PackedTensor>;
  readonly bytes: number;
}

/** Names in the image. */
export const factorName = (module: string, letter: "A" | "B" | "bias"): string =>
  `${module}.lora_${letter}`;

/** @throws PronkError "unsupported" on sizes that no kernel takes. */
export function planAdapterImage(adapter: LoraAdapter, { steps, head }: Plan): AdapterImage {
  const entries: PackEntry[] = [];
  const add = (name: string, tensor: FloatTensor): void => {
    const isVector = tensor.shape.length === 1;
    // Rows of embeddings are read by themselves: as f32.
    const isBf16 = tensor.type === "BF16" && !name.startsWith(EMBEDDING.replace("weight", ""));
    const form = isVector ? "vector" : isBf16 ? "bf16" : "f32";
    entries.push({ name, tensor: asTensorInfo({ ...tensor, name }, adapter.name), form });
  };
  // Factors that read the same input lie together: one product computes them.
  const order = [...steps, ...head].flatMap((step) =>
    step.op === "matmul"
      ? step.parts.map(({ weight }) => moduleOf(adaptedWeight(step, weight)))
      : [],
  );
  const rank = new Map(order.map((module, i) => [module, i]));
  const modules = [...adapter.modules.values()].sort(
    (one, other) => (rank.get(one.module) ?? -1) - (rank.get(other.module) ?? -1),
  );
  for (const { module, a } of modules) add(factorName(module, "A"), a);
  for (const { module, b, bias } of modules) {
    add(factorName(module, "B"), b);
    if (bias) add(factorName(module, "bias"), bias);
  }
  for (const [name, tensor] of adapter.replaced) add(name, tensor);
  const { tensors, weightBytes: bytes } = planImage(entries);
  return { entries, tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), bytes };
}
