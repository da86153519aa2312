/** LoRA adapters of PEFT: configuration and factors, fitted to a base, and every value of them. */
import { fitAdapter } from "../../../src/adapters/fit-adapter.ts";
import { openLoraAdapter } from "../../../src/adapters/open-lora-adapter.ts";
import { readValues } from "../../../src/adapters/read-values.ts";
import { parseLlamaConfig } from "../../../src/model/config.ts";
import { memoryFolder } from "../../support/memory-folder.ts";
import { writeRandomLora } from "../../support/random-lora.ts";
import { factors, writeAdapter } from "../../support/written-adapter.ts";
import { filesLayout, joinFiles, splitFiles } from "../files.ts";
import { readRows } from "../floats.ts";
import { readJson } from "../json-layout.ts";
import { layoutOf } from "../layout.ts";
import { writePattern } from "../pattern-writer.ts";
import type { Random } from "../random.ts";
import { safetensorsLayout } from "../safetensors-layout.ts";
import type { FuzzTarget, Probe } from "../target.ts";

const BASE = parseLlamaConfig(
  {
    vocab_size: 16,
    hidden_size: 8,
    intermediate_size: 12,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    tie_word_embeddings: true,
  },
  "base",
);

async function seeds(): Promise<Uint8Array[]> {
  const plain = memoryFolder();
  await writeRandomLora(plain, { hidden: 8, kvDim: 4, layers: 2, r: 2 });
  const saved = memoryFolder();
  await writeRandomLora(saved, { hidden: 8, kvDim: 4, layers: 2, r: 2, replaceNorm: true });
  const patterned = await writeAdapter(
    {
      r: 4,
      lora_alpha: 8,
      use_rslora: true,
      target_modules: ["q_proj", "down_proj"],
      exclude_modules: ["lm_head"],
      rank_pattern: { "layers.0.mlp.down_proj": 2 },
      alpha_pattern: { "^model.layers.1": 3 },
      layers_to_transform: [0],
      layers_pattern: "layers",
      bias: "none",
    },
    factors({
      "model.layers.0.self_attn.q_proj": [8, 8, 4],
      "model.layers.0.mlp.down_proj": [8, 12, 2],
    }),
  );
  return [plain, saved, patterned].map(({ files }) => joinFiles(files));
}

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  const files = splitFiles(input);
  const folder = { ...memoryFolder(), name: "adapter" };
  for (const [name, bytes] of files) folder.files.set(name, bytes);
  if (files.get("adapter_config.json")?.[0] === 0x7b) probe.pastHeader();
  const adapter = await openLoraAdapter(folder);
  probe.saw(`${adapter.modules.size} modules, ${adapter.replaced.size} replaced`);
  for (const { a, b, bias, scaling, rank } of adapter.modules.values()) {
    if (!Number.isFinite(scaling)) throw new Error(`a scaling of ${scaling} at rank ${rank}`);
    if (a.shape[0] !== rank || b.shape[1] !== rank) throw new Error("factors of another rank");
    for (const tensor of bias ? [a, b, bias] : [a, b]) await readRows(tensor);
  }
  for (const tensor of [...adapter.replaced.values(), ...adapter.copies.values()])
    await readRows(tensor);
  fitAdapter(adapter, BASE);
  for (const { a, b } of adapter.modules.values())
    probe.saw((await readValues(a)).length * (await readValues(b)).length);
}

/** PEFT takes names, or one pattern. */
function otherTargets(input: Uint8Array, random: Random): Uint8Array {
  const files = splitFiles(input);
  const file = files.get("adapter_config.json");
  try {
    const config = JSON.parse(new TextDecoder().decode(file));
    const field = random.pick(["target_modules", "target_modules", "exclude_modules"]);
    config[field] = random.chance(0.7) ? `.*${writePattern(random)}` : [writePattern(random)];
    const key = writePattern(random);
    if (random.chance(0.3)) config.rank_pattern = { [key]: random.below(9) };
    files.set("adapter_config.json", new TextEncoder().encode(JSON.stringify(config)));
  } catch {
    return input;
  }
  return joinFiles(files);
}

export const target: FuzzTarget = {
  edits: [otherTargets],
  seeds,
  layout: (input) =>
    filesLayout(input, (name, bytes) =>
      name.endsWith(".json")
        ? layoutOf(bytes, (reader) => readJson(reader))
        : safetensorsLayout(bytes),
    ),
  words: [
    ..."r,lora_alpha,use_rslora,target_modules,exclude_modules,rank_pattern,alpha_pattern,modules_to_save,bias,lora_bias".split(
      ",",
    ),
    ..."all-linear,all,lora_only,LORA,layers_to_transform,layers_pattern,use_dora,CAUSAL_LM,SEQ_CLS,F16,BF16".split(
      ",",
    ),
    ...[
      "(a+)+$",
      ".*.*.*.*x",
      "(",
      "[^",
      "q_proj|",
      "a{9999}",
      "(?=x)",
      "model.norm",
      "lm_head",
      "model.layers.0.self_attn.q_proj",
      "base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight",
    ],
  ],
  run,
  planted: {
    name: "factors of any rank",
    file: "src/adapters/open-lora-adapter.ts",
    find: "if (shape.length === 2 && shape[at] === rank) continue;",
    replace: "if (shape.length === 2) continue;",
  },
};
