/** config.json, and a model's memory plan and rotary frequencies from it. */

import { parseJson } from "../../../src/checkpoints/companion-files.ts";
import { LlamaConfig } from "../../../src/llama/llama-config.ts";
import { classificationHead } from "../../../src/model/classification-head.ts";
import { parseLlamaConfig } from "../../../src/model/config.ts";
import { ropeFrequencies } from "../../../src/model/rope.ts";
import { llamaTensors } from "../../../src/model/tensors.ts";
import { readJson } from "../json-layout.ts";
import { layoutOf } from "../layout.ts";
import type { FuzzTarget, Probe } from "../target.ts";
import { usable } from "../usable.ts";

const BASE = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  vocab_size: 32,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  hidden_act: "silu",
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
  rope_theta: 10000,
  attention_bias: false,
  mlp_bias: false,
  torch_dtype: "float32",
  bos_token_id: 1,
  eos_token_id: [2, 3],
};

const SCALINGS = [
  null,
  { rope_type: "linear", factor: 2 },
  { type: "dynamic", factor: 2 },
  {
    rope_type: "yarn",
    factor: 4,
    original_max_position_embeddings: 32,
    beta_fast: 32,
    beta_slow: 1,
    mscale: 1,
    mscale_all_dim: 0.5,
  },
  {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 32,
  },
  {
    rope_type: "longrope",
    short_factor: [1, 2],
    long_factor: [2, 4],
    factor: 2,
    original_max_position_embeddings: 32,
  },
];

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  if (input[0] === 0x7b) probe.pastHeader();
  const data = parseJson(input, "config.json");
  const config = parseLlamaConfig(data, "config.json");
  probe.saw(
    `${config.rope_scaling?.rope_type} ${config.hidden_act} ${Math.log2(config.head_dim) | 0}`,
  );
  const head = classificationHead(data, () => undefined);
  await usable("config.json", () => {
    if (config.num_hidden_layers < 64) probe.saw(llamaTensors(config, head).length);
    const { inverse } = ropeFrequencies(config);
    for (const frequency of inverse) {
      if (!(frequency >= 0 && frequency < Infinity))
        throw new Error(`a rotary frequency of ${frequency}`);
    }
  });
  const whole = new LlamaConfig(data);
  await usable("LlamaConfig", () => probe.saw(Object.keys(whole.toJSON()).length));
}

export const target: FuzzTarget = {
  seeds: () => [
    ...SCALINGS.map((rope_scaling) =>
      new TextEncoder().encode(JSON.stringify({ ...BASE, rope_scaling })),
    ),
    new TextEncoder().encode(
      JSON.stringify({
        ...BASE,
        architectures: ["LlamaForSequenceClassification"],
        num_labels: 3,
        id2label: { 0: "a", 1: "b", 2: "c" },
        label2id: { a: 0, b: 1, c: 2 },
        pad_token_id: 0,
      }),
    ),
  ],
  layout: (input) => layoutOf(input, (reader) => readJson(reader)),
  words: [
    "rope_scaling",
    "rope_parameters",
    "rope_type",
    "type",
    "factor",
    "yarn",
    "llama3",
    "longrope",
    "dynamic",
    "linear",
    "default",
    "hidden_act",
    "gelu",
    "swish",
    "num_labels",
    "id2label",
    "pretraining_tp",
    "partial_rotary_factor",
    "attention_factor",
    "truncate",
    "quantization_config",
    "problem_type",
  ],
  run,
  planted: {
    name: "there may be any number of labels",
    file: "src/llama/llama-config.ts",
    find: "if (!Number.isInteger(count) || count < 1 || count > MAX_LABELS) {",
    replace: "if (!Number.isInteger(count) || count < 1) {",
  },
};
