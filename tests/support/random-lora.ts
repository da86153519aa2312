/** LoRA adapters with random factors, as PEFT's save_pretrained writes them. */
import type { FloatTensor } from "../../src/formats/float-tensor.ts";
import type { OutputFolder } from "../../src/formats/output-file.ts";
import { writeSafetensors } from "../../src/formats/safetensors/write-safetensors.ts";
import { storedTensor } from "../../src/formats/stored-tensor.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { type MemoryFolder, memoryFolder } from "./memory-folder.ts";

export interface RandomLora {
  readonly hidden?: number;
  /** Rows of v_proj. */
  readonly kvDim?: number;
  readonly layers?: number;
  readonly r?: number;
  readonly seed?: number;
  /** The factors' size; the default moves a small model far. */
  readonly size?: number;
  /** Also the whole norm before the head. */
  readonly replaceNorm?: boolean;
}

/** Factors for q_proj and v_proj of every layer. */
export async function writeRandomLora(
  folder: OutputFolder,
  { hidden = 8, kvDim = 4, layers = 1, r = 8, seed = 1, size = 0.5, ...more }: RandomLora = {},
): Promise<void> {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state / 2 ** 31) * size;
  };
  const tensors: FloatTensor[] = [];
  const add = (name: string, shape: readonly number[]): void => {
    const count = shape.reduce((product, n) => product * n, 1);
    const values = Float32Array.from({ length: count }, next);
    const source = memorySource(new Uint8Array(values.buffer), name);
    tensors.push(storedTensor(`base_model.model.${name}`, "F32", shape, source, 0));
  };
  for (let layer = 0; layer < layers; layer++) {
    for (const [module, rows] of [["q_proj", hidden] as const, ["v_proj", kvDim] as const]) {
      const name = `model.layers.${layer}.self_attn.${module}`;
      add(`${name}.lora_A.weight`, [r, hidden]);
      add(`${name}.lora_B.weight`, [rows, r]);
    }
  }
  if (more.replaceNorm) add("model.norm.weight", [hidden]);
  const config = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    r,
    lora_alpha: r,
    bias: "none",
    target_modules: ["q_proj", "v_proj"],
    modules_to_save: more.replaceNorm ? ["model.norm"] : null,
  };
  const json = await folder.create("adapter_config.json");
  await json.write(new TextEncoder().encode(JSON.stringify(config)));
  await json.close();
  const weights = await folder.create("adapter_model.safetensors");
  await writeSafetensors(weights, tensors);
  await weights.close();
}

/** One in memory, under a name for messages. */
export async function randomLoraFolder(name: string, lora?: RandomLora): Promise<MemoryFolder> {
  const folder = memoryFolder();
  await writeRandomLora(folder, lora);
  return { ...folder, name };
}
