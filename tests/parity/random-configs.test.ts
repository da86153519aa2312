/**
 * Fifteen configurations with random values of every field, each compared between transformers, the f32 reference and
 * wasm; and each field of each changed, which must change what comes out or be refused.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compileKernels } from "../../src/backends/wasm/kernel-variants.ts";
import { PronkError } from "../../src/errors.ts";
import { readSafetensors } from "../../src/formats/safetensors/read-safetensors.ts";
import { LlamaConfig } from "../../src/llama/llama-config.ts";
import { LlamaForCausalLM } from "../../src/llama/modeling/llama-for-causal-lm.ts";
import { loadParts } from "../../src/llama/modeling/load-parts.ts";
import type { PretrainedOptions } from "../../src/llama/modeling/pretrained-options.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { models } from "../support/llama-models.ts";
import { randomLlama } from "../support/random-llama.ts";

type Fields = Readonly<Record<string, unknown>>;

interface Case {
  readonly name: string;
  readonly config: Fields;
  readonly seed: number;
  readonly input_ids: number[][];
  readonly generate: {
    readonly input_ids: number[][];
    readonly attention_mask: number[][];
    readonly max_new_tokens: number;
    readonly sequences: number[][];
  };
  readonly from_bos: { readonly max_new_tokens: number; readonly sequences: number[][] };
}

const root = new URL("../goldens/random-configs/", import.meta.url);
const { cases }: { cases: Case[] } = JSON.parse(readFileSync(new URL("golden.json", root), "utf8"));
const file = new Uint8Array(readFileSync(new URL("golden.safetensors", root)));
const index = await readSafetensors(memorySource(file, "golden.safetensors"));

function goldenLogits(name: string): Float32Array {
  const { start, bytes } = index.get(`${name}/logits`)!;
  return new Float32Array(file.slice(start, start + bytes).buffer);
}

const read = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(`wasm/dist/${name}.wasm`));
const runtime = {
  kernels: await compileKernels({ plain: read("plain"), relaxed: read("relaxed") }),
  now: (): number => performance.now(),
};

/** Longer than any case. */
const CTX = 64;

/** `weights` is the configuration that the weights are made for, `config` what the file says. */
async function load(
  weights: Fields,
  seed: number,
  backend: "reference" | "wasm",
  { config = weights, ...options }: Omit<PretrainedOptions, "config"> & { config?: Fields } = {},
): Promise<LlamaForCausalLM> {
  const checkpoint = { ...randomLlama(weights, seed), config };
  return new LlamaForCausalLM(
    await loadParts({ checkpoint }, "causal-lm", runtime, { backend, ctx: CTX, ...options }),
  );
}

const BACKENDS = ["reference", "wasm"] as const;

test("the configurations differ in every field that they name", () => {
  expect(cases.length).toBe(15);
  for (const field of FIELDS) {
    const values = cases.map(({ config }) => JSON.stringify(config[field] ?? null));
    expect(new Set(values).size, field).toBeGreaterThan(1);
  }
});

describe.each(cases)("$name", ({ name, config, seed, input_ids, generate, from_bos }) => {
  const logits = new Map<string, Float32Array>();
  test.each(BACKENDS)("%s gives transformers' logits and greedy ids", async (backend) => {
    const model = await load(config, seed, backend);
    const out = await model.forward({ input_ids, use_cache: false });
    logits.set(backend, out.logits.data);
    const expected = goldenLogits(name);
    expect(out.logits.data.length).toBe(expected.length);
    expected.forEach((value, i) => {
      const difference = Math.abs(out.logits.data[i] - value);
      expect(difference).toBeLessThanOrEqual(2e-4 + 1e-4 * Math.abs(value));
    });
    const { sequences, ...inputs } = generate;
    expect(await model.generate(inputs)).toEqual(sequences);
    expect(await model.generate({ max_new_tokens: from_bos.max_new_tokens })).toEqual(
      from_bos.sequences,
    );
    expect(model.config.toJSON()).toMatchObject(config);
    model.dispose();
  });

  test("both backends agree", () => {
    const [reference, wasm] = BACKENDS.map((backend) => logits.get(backend)!);
    reference.forEach((value, i) => {
      expect(Math.abs(wasm[i] - value)).toBeLessThanOrEqual(1e-4 + 5e-5 * Math.abs(value));
    });
  });
});

const FIELDS = [
  "vocab_size",
  "hidden_size",
  "intermediate_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "head_dim",
  "hidden_act",
  "max_position_embeddings",
  "initializer_range",
  "rms_norm_eps",
  "use_cache",
  "pad_token_id",
  "bos_token_id",
  "eos_token_id",
  "pretraining_tp",
  "tie_word_embeddings",
  "rope_theta",
  "rope_scaling",
  "attention_bias",
  "attention_dropout",
  "mlp_bias",
];

/** Everything that a caller can see of a model, as one text; of a refusal its reason. */
async function observe(
  found: Case,
  config: Fields,
  backend: "reference" | "wasm",
  options: Omit<PretrainedOptions, "config"> = {},
): Promise<string> {
  try {
    const model = await load(found.config, found.seed, backend, { config, ...options });
    const seen = await observeModel(model, found);
    model.dispose();
    return seen;
  } catch (error) {
    if (!(error instanceof PronkError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

async function observeModel(model: LlamaForCausalLM, found: Case): Promise<string> {
  const { input_ids } = found;
  const { sequences, ...inputs } = found.generate;
  const long = await model.forward({ input_ids });
  const short = await model.forward({ input_ids: [input_ids[0].slice(0, 5)] });
  long.past_key_values?.release();
  short.past_key_values?.release();
  const ids = [
    await model.generate(inputs),
    // Ends the first row at its second token: the rest of it is padding.
    await model.generate({ ...inputs, eos_token_id: sequences[0][8] }),
    await model.generate({ max_new_tokens: 4 }),
  ];
  const bits = [long, short].map(({ logits }) => Buffer.from(logits.data.buffer).toString("hex"));
  return JSON.stringify({ bits, ids, caches: long.past_key_values !== undefined });
}

const ACTS = ["silu", "gelu", "gelu_new", "quick_gelu", "relu", "relu2", "sigmoid", "linear"];

/** Another value, which makes another model of the same weights, or one that they do not fit. */
function changed(field: string, config: Fields, { generate }: Case): unknown {
  const value = config[field];
  const heads = config.num_attention_heads as number;
  switch (field) {
    case "vocab_size":
    case "hidden_size":
    case "intermediate_size":
      return (value as number) + 16;
    case "num_hidden_layers":
      return value === 1 ? 2 : (value as number) - 1;
    case "num_attention_heads":
      return heads * 2;
    case "num_key_value_heads":
      return heads > 1 && value !== 1 ? 1 : Math.max(heads, 2);
    case "head_dim":
      return ((value as number | undefined) ?? (config.hidden_size as number) / heads) + 2;
    case "hidden_act":
      return ACTS.find((act) => act !== value && !(act === "silu" && value === "swish"));
    case "max_position_embeddings":
      return 8;
    case "rms_norm_eps":
      return (value as number) * 3 + 1e-3;
    case "pad_token_id":
      return value === 5 ? 6 : 5;
    case "bos_token_id":
      return (value as number) + 1;
    case "eos_token_id":
      return value === null ? generate.sequences[0][9] : null;
    case "pretraining_tp":
      return value === 1 ? 2 : 1;
    case "rope_theta":
      return (value as number) * 1.5;
    case "rope_scaling":
      return { rope_type: "linear", factor: 7 };
    default:
      return !value;
  }
}

/** Nothing is trained, and these weights were made: both are kept in the configuration. */
const KEPT = ["initializer_range", "attention_dropout"];

describe.each(cases)("$name with another", (found) => {
  test.each(FIELDS.filter((field) => !KEPT.includes(field)))(
    "%s is another model",
    async (field) => {
      const { config } = found;
      const other = { ...config, [field]: changed(field, config, found) };
      // Only the reference sums in slices; only without a context of the caller's is the configuration's the one.
      const backend = field === "pretraining_tp" ? "reference" : "wasm";
      const options = field === "max_position_embeddings" ? { ctx: undefined } : {};
      const before = await observe(found, config, backend, options);
      expect(await observe(found, other, backend, options)).not.toBe(before);
    },
  );

  const scaling = (found.config.rope_scaling ?? {}) as Fields;
  const names = Object.keys(scaling).filter((name) => !isInactive(name, scaling));
  test.each(names)("%s of rope_scaling is another model", async (name) => {
    const rope_scaling = { ...scaling, [name]: changedScaling(name, scaling[name]) };
    const before = await observe(found, found.config, "wasm");
    expect(await observe(found, { ...found.config, rope_scaling }, "wasm")).not.toBe(before);
  });

  test.each(KEPT)("%s is the same model, which keeps it", async (field) => {
    const config = { ...found.config, [field]: 0.5 };
    const model = await load(found.config, found.seed, "wasm", { config });
    expect(model.config.toJSON()[field]).toBe(0.5);
    expect(await observeModel(model, found)).toBe(await observe(found, found.config, "wasm"));
    model.dispose();
  });
});

test.each(cases)(
  "$name made at random has other weights for another initializer_range",
  async ({ config, input_ids }) => {
    const logits = await Promise.all(
      [config.initializer_range as number, 0.5].map(async (initializer_range) => {
        const fields = new LlamaConfig({ ...config, initializer_range });
        const model = new models.LlamaForCausalLM(fields, { seed: 1, ctx: CTX });
        const out = await model.forward({ input_ids, use_cache: false });
        model.dispose();
        return out.logits.data;
      }),
    );
    expect(logits[0]).not.toEqual(logits[1]);
  },
);

/** What transformers does not look at beside the others, either. */
function isInactive(name: string, scaling: Fields): boolean {
  return name === "factor" && scaling.rope_type === "longrope";
}

function changedScaling(name: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((x) => x * 2);
  if (typeof value === "boolean") return !value;
  if (typeof value === "string") return value === "linear" ? "dynamic" : "linear";
  return name.startsWith("beta") ? (value as number) * 0.2 : (value as number) * 1.7;
}
