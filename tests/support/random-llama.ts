/**
 * A Llama whose weights follow from a seed and each tensor's name, the same bits here and in
 * scripts/goldens/random-configs.py, which ran it with transformers.
 */
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import type { FloatTensor } from "../../src/formats/float-tensor.ts";
import { storedTensor } from "../../src/formats/stored-tensor.ts";
import { parseLlamaConfig } from "../../src/model/config.ts";
import { llamaTensors } from "../../src/model/tensors.ts";
import { memorySource } from "../../src/sources/memory.ts";

/** @param fields of config.json, initializer_range among them */
export function randomLlama(fields: Readonly<Record<string, unknown>>, seed: number): Checkpoint {
  const range = fields.initializer_range as number;
  const tensors = llamaTensors(parseLlamaConfig(fields, "random")).map(
    ({ name, shape }): [string, FloatTensor] => {
      const count = shape.reduce((product, dim) => product * dim, 1);
      const values = randomTensor(name, count, seed, range);
      const source = memorySource(new Uint8Array(values.buffer), name);
      return [name, storedTensor(name, "F32", shape, source, 0)];
    },
  );
  return { name: "random", config: fields, tensors: new Map(tensors), files: new Map() };
}

/** Uniform numbers of standard deviation `range`, by mulberry32; around 1 for norms. */
function randomTensor(name: string, count: number, seed: number, range: number): Float32Array {
  const isNorm = name.endsWith("norm.weight");
  const [scale, offset] = isNorm ? [0.5, 1] : [range * Math.sqrt(3), 0];
  let state = fnv1a(name, seed);
  return Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1) * scale + offset;
  });
}

function fnv1a(text: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}
