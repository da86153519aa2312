/** What a LoRA adapter's factors and replaced tensors are on the GPU: bf16 stays bf16, what is wider becomes f32. */
import type { LoraAdapter } from "../../../adapters/lora-adapter.ts";
import { readValues } from "../../../adapters/read-values.ts";
import { asTensorInfo } from "../../../checkpoints/checkpoint-entries.ts";
import type { FloatTensor } from "../../../formats/float-tensor.ts";
import { EMBEDDING } from "../../../model/tensors.ts";
import type { PackEntry } from "../../../pack/image-plan.ts";
import { moduleOf } from "../../adapted-tensors.ts";

/** Names in the image. */
export const factorName = (module: string, letter: "A" | "B" | "bias"): string =>
  `${module}.lora_${letter}`;

/** Replaced tensors keep their names. The embedding's A lies as a table of its tokens' columns. */
export function adapterEntries({ name: where, modules, replaced }: LoraAdapter): PackEntry[] {
  const entries: PackEntry[] = [];
  const add = (name: string, tensor: FloatTensor): void => {
    const isMatrix = tensor.shape.length === 2;
    const form = isMatrix ? (tensor.type === "BF16" ? "bf16" : "f32") : "vector";
    entries.push({ name, form, tensor: asTensorInfo({ ...tensor, name }, where) });
  };
  for (const [module, { a, b, bias }] of modules) {
    add(factorName(module, "A"), module === moduleOf(EMBEDDING) ? transposed(a) : a);
    add(factorName(module, "B"), b);
    if (bias) add(factorName(module, "bias"), bias);
  }
  for (const [name, tensor] of replaced) add(name, tensor);
  return entries;
}

/** A matrix's columns as rows, in f32; it is read once, and then held. */
function transposed(tensor: FloatTensor): FloatTensor {
  const [rows, cols] = tensor.shape;
  let values: Promise<Float32Array> | undefined;
  return {
    name: tensor.name,
    type: "F32",
    shape: [cols, rows],
    async readRows(first, count, into, signal) {
      const all = await (values ??= readValues(tensor, signal));
      const part = new Float32Array(count * rows);
      for (let i = 0; i < count; i++) {
        for (let j = 0; j < rows; j++) part[i * rows + j] = all[j * cols + first + i];
      }
      into.set(new Uint8Array(part.buffer));
    },
  };
}
