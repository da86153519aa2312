/** A small Llama with random weights, and the files of a tokenizer beside them. */
import { readdirSync, readFileSync } from "node:fs";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import type { FloatTensor } from "../../src/formats/float-tensor.ts";
import { storedTensor } from "../../src/formats/stored-tensor.ts";
import { parseLlamaConfig } from "../../src/model/config.ts";
import { llamaTensors } from "../../src/model/tensors.ts";
import { memorySource } from "../../src/sources/memory.ts";

const tokenizers = new URL("../goldens/tokenizers/", import.meta.url);

/** Standard normal numbers, the same for a seed. */
function normals(seed: number): () => number {
  let state = seed;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return ((state >>> 8) + 0.5) / 2 ** 24;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** @param tokenizer a folder of tests/goldens/tokenizers */
export function randomCheckpoint(
  fields: Readonly<Record<string, unknown>>,
  seed: number,
  tokenizer?: string,
): Checkpoint {
  const data = { architectures: ["LlamaForCausalLM"], model_type: "llama", ...fields };
  const config = parseLlamaConfig(data, "random");
  const normal = normals(seed);
  const tensors = llamaTensors(config).map(({ name, shape, role }): [string, FloatTensor] => {
    const count = shape.reduce((product, dim) => product * dim, 1);
    const isNorm = role === "vector" && name.endsWith("norm.weight");
    // Inputs of products keep their size, so that what comes out depends on every token.
    const scale = isNorm ? 0.1 : role === "embedding" ? 1 : 1 / Math.sqrt(shape.at(-1)!);
    const values = Float32Array.from({ length: count }, () => normal() * scale + (isNorm ? 1 : 0));
    const source = memorySource(new Uint8Array(values.buffer), name);
    return [name, storedTensor(name, "F32", shape, source, 0)];
  });
  const folder = tokenizer && new URL(`${tokenizer}/`, tokenizers);
  const files = folder
    ? readdirSync(folder).map(
        (name) =>
          [
            name,
            { read: async () => new Uint8Array(readFileSync(new URL(name, folder))) },
          ] as const,
      )
    : [];
  return { name: "random", config: data, tensors: new Map(tensors), files: new Map(files) };
}
