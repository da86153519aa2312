/** Adapters that tests write: random factors of some modules, as PEFT saves them. */

import { writeSafetensors } from "../../src/formats/safetensors/write-safetensors.ts";
import { storedTensor } from "../../src/formats/stored-tensor.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { type MemoryFolder, memoryFolder } from "./memory-folder.ts";

export interface WrittenTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Uniform in (-1, 1), the same for a seed. */
export function uniform(count: number, seed: number, scale = 1): Float32Array {
  let state = (seed + 1) * 2654435761;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return ((state >>> 8) / 2 ** 23 - 1) * scale;
  });
}

export function randomTensor(shape: readonly number[], seed: number, scale: number): WrittenTensor {
  const count = shape.reduce((product, n) => product * n, 1);
  return { shape, values: uniform(count, seed, scale) };
}

/** Keys begin with `base_model.model.`, which is added here. */
export async function writeAdapter(
  config: Readonly<Record<string, unknown>>,
  tensors: Readonly<Record<string, WrittenTensor>>,
): Promise<MemoryFolder> {
  const folder = memoryFolder();
  const json = JSON.stringify({ peft_type: "LORA", task_type: "CAUSAL_LM", ...config });
  folder.files.set("adapter_config.json", new TextEncoder().encode(json));
  const file = await folder.create("adapter_model.safetensors");
  await writeSafetensors(
    file,
    Object.entries(tensors).map(([key, { shape, values }]) => {
      const name = `base_model.model.${key}`;
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      return storedTensor(name, "F32", shape, memorySource(bytes, name), 0);
    }),
  );
  await file.close();
  return folder;
}

/** Factors of modules: [outputs, inputs] and rank of each. */
export function factors(
  modules: Readonly<Record<string, readonly [outputs: number, inputs: number, rank: number]>>,
  scale = 0.3,
): Record<string, WrittenTensor> {
  const tensors: Record<string, WrittenTensor> = {};
  for (const [i, [module, [outputs, inputs, rank]]] of Object.entries(modules).entries()) {
    tensors[`${module}.lora_A.weight`] = randomTensor([rank, inputs], 2 * i, scale);
    tensors[`${module}.lora_B.weight`] = randomTensor([outputs, rank], 2 * i + 1, scale);
  }
  return tensors;
}
