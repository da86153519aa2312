/** The model classes against transformers' outputs: masks, positions, caches, states, heads and losses. */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileKernels } from "../../src/backends/wasm/kernel-variants.ts";
import type { KvCache } from "../../src/llama/modeling/kv-cache.ts";
import type { CausalLmInputs } from "../../src/llama/modeling/llama-for-causal-lm.ts";
import { LlamaForCausalLM } from "../../src/llama/modeling/llama-for-causal-lm.ts";
import { LlamaForQuestionAnswering } from "../../src/llama/modeling/llama-for-question-answering.ts";
import { LlamaForSequenceClassification } from "../../src/llama/modeling/llama-for-sequence-classification.ts";
import { LlamaForTokenClassification } from "../../src/llama/modeling/llama-for-token-classification.ts";
import { LlamaModel } from "../../src/llama/modeling/llama-model.ts";
import { loadParts } from "../../src/llama/modeling/load-parts.ts";
import type { PretrainedOptions } from "../../src/llama/modeling/pretrained-options.ts";
import type { Nested, Tensor } from "../../src/llama/modeling/tensor.ts";
import {
  type GoldenCase,
  goldenCases,
  goldenTensors,
  openGoldenModel,
} from "../support/golden-model.ts";

const read = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(`wasm/dist/${name}.wasm`));
const now = (): number => performance.now();
const runtime = {
  kernels: await compileKernels({ plain: read("plain"), relaxed: read("relaxed") }),
  now,
};

const MODELS = readdirSync("tests/goldens/models").sort();
const HEADS = ["seqcls", "seqcls_multi", "seqcls_reg", "qa", "tokcls"];
const CAUSAL = MODELS.filter((model) => !HEADS.includes(model));

type Loaded = Map<string, Float32Array>;
const tensorsOf = new Map<string, Promise<Loaded>>();
function tensors(model: string): Promise<Loaded> {
  const found =
    tensorsOf.get(model) ??
    goldenTensors(model).catch((error): Loaded => {
      if (error.code === "ENOENT") return new Map();
      throw error;
    });
  tensorsOf.set(model, found);
  return found;
}

/** An output, wherever it is kept: nested lists, or a tensor of the file. */
async function expectedOf(model: string, value: unknown): Promise<number[]> {
  const { $t: key } = value as { $t?: string };
  if (key === undefined) return ([value].flat(5) as number[]).map(Number);
  const found = (await tensors(model)).get(key);
  if (!found) throw new Error(`${model}: no tensor ${key}`);
  return Array.from(found);
}

function expectClose(
  found: ArrayLike<number>,
  expected: readonly number[],
  isCompared = (_: number) => true,
) {
  expect(found.length).toBe(expected.length);
  expected.forEach((value, i) => {
    if (!isCompared(i)) return;
    const difference = Math.abs(found[i] - value);
    if (!(difference <= 2e-4 + 1e-4 * Math.abs(value))) {
      throw new Error(`element ${i}: ${found[i]}, expected ${value}`);
    }
  });
}

function casesOf(
  models: readonly string[],
  kinds: readonly string[],
): [string, string, GoldenCase][] {
  return models.flatMap((model) =>
    goldenCases(model)
      .filter(({ kind }) => kinds.includes(kind))
      .map((golden): [string, string, GoldenCase] => [model, golden.name, golden]),
  );
}

/** Inputs as `forward` takes them. */
async function inputsOf(model: string, { inputs }: GoldenCase): Promise<CausalLmInputs> {
  const { allow_4d, inputs_embeds, chunks: _, ...rest } = inputs;
  const embeds = inputs_embeds as { $t: string; shape: number[] } | undefined;
  return {
    ...(rest as CausalLmInputs),
    ...(allow_4d !== undefined && { attention_mask: [[allow_4d as Nested]] }),
    ...(embeds && {
      inputs_embeds: {
        dims: embeds.shape,
        data: Float32Array.from(await expectedOf(model, embeds)),
      },
    }),
  };
}

/** Whether element i of (batch, length, width) is at a token. */
function atTokens({ inputs, ...golden }: GoldenCase, width: number): (i: number) => boolean {
  const { compare_where: where } = golden as { compare_where?: string };
  if (where !== "attention_mask") return () => true;
  const mask = (inputs.attention_mask as number[][]).flat();
  return (i) => mask[Math.floor(i / width)] === 1;
}

/** Longer than any case: dynamic scaling goes beyond what the configuration names. */
const CTX = 64;

const OPTIONS: PretrainedOptions[] = [
  { backend: "reference", ctx: CTX },
  { backend: "wasm", ctx: CTX },
];

describe.each(OPTIONS)("$backend", (options) => {
  const load = async (model: string) =>
    loadParts({ checkpoint: await openGoldenModel(model) }, "causal-lm", runtime, options);
  const models = new Map<string, LlamaForCausalLM>();
  const causal = (model: string): LlamaForCausalLM => models.get(model) as LlamaForCausalLM;
  beforeAll(async () => {
    for (const model of CAUSAL) models.set(model, new LlamaForCausalLM(await load(model)));
  });
  afterAll(() => {
    for (const model of models.values()) model.dispose();
  });

  test.each(casesOf(CAUSAL, ["forward"]))("%s %s", async (name, _, golden) => {
    const inputs = await inputsOf(name, golden);
    const shown = "hidden_states.0" in golden.outputs;
    const out = await causal(name).forward({
      ...inputs,
      output_hidden_states: shown,
      output_attentions: "attentions.0" in golden.outputs,
    });
    for (const [key, value] of Object.entries(golden.outputs)) {
      const [kind, index] = key.split(".");
      const found = (out as unknown as Record<string, Tensor | Tensor[]>)[kind];
      const tensor = index === undefined ? (found as Tensor) : (found as Tensor[])[Number(index)];
      const width = tensor.dims.at(-1) ?? 1;
      expectClose(tensor.data, await expectedOf(name, value), atTokens(golden, width));
    }
    out.past_key_values?.release();
  });

  test.each(casesOf(CAUSAL, ["incremental"]))("%s %s", async (name, _, golden) => {
    const { input_ids, chunks, attention_mask, position_ids } = golden.inputs as {
      input_ids: number[][];
      chunks: number[];
      attention_mask?: number[][];
      position_ids?: number[][];
    };
    const parts: Tensor[] = [];
    let past: KvCache | undefined;
    let from = 0;
    for (const count of chunks) {
      const to = from + count;
      const out = await causal(name).forward({
        input_ids: input_ids.map((row) => row.slice(from, to)),
        ...(attention_mask && { attention_mask: attention_mask.map((row) => row.slice(0, to)) }),
        ...(position_ids && { position_ids: position_ids.map((row) => row.slice(from, to)) }),
        ...(past && { past_key_values: past }),
      });
      past = out.past_key_values;
      parts.push(out.logits);
      from = to;
    }
    expect(past?.getSeqLength()).toBe(input_ids[0].length);
    const { logits, logits_last_chunk } = golden.outputs;
    if (logits_last_chunk) {
      expectClose(parts.at(-1)?.data ?? [], await expectedOf(name, logits_last_chunk));
      return;
    }
    const vocab = parts[0].dims[2];
    const all = input_ids.flatMap((_, b) =>
      parts.flatMap(({ data, dims }) => {
        const size = dims[1] * vocab;
        return Array.from(data.subarray(b * size, (b + 1) * size));
      }),
    );
    expectClose(all, await expectedOf(name, logits), atTokens(golden, vocab));
  });

  test.each(casesOf(CAUSAL, ["loss"]))("%s %s", async (name, _, golden) => {
    const out = await causal(name).forward(await inputsOf(name, golden));
    const { loss, logits } = golden.outputs as Record<string, never>;
    const expected = (loss as { $f?: string }).$f === "nan" ? Number.NaN : loss;
    if (Number.isNaN(expected)) expect(out.loss).toBeNaN();
    else expectClose([out.loss ?? 0], [expected]);
    if (logits) expectClose(out.logits.data, await expectedOf(name, logits));
  });

  test("gqa base_model and cache", async () => {
    const parts = await loadParts(
      { checkpoint: await openGoldenModel("gqa") },
      "none",
      runtime,
      options,
    );
    const model = new LlamaModel(parts);
    for (const [name, , golden] of casesOf(["gqa"], ["LlamaModel"])) {
      const out = await model.forward(await inputsOf(name, golden));
      expectClose(
        out.last_hidden_state.data,
        await expectedOf(name, golden.outputs.last_hidden_state),
      );
    }
    model.dispose();
    for (const [name, , golden] of casesOf(["gqa"], ["cache"])) {
      const out = await causal(name).forward(await inputsOf(name, golden));
      for (let layer = 0; `key.${layer}` in golden.outputs; layer++) {
        const found = await out.past_key_values?.layer(layer);
        expectClose(found?.keys.data ?? [], await expectedOf(name, golden.outputs[`key.${layer}`]));
        expectClose(
          found?.values.data ?? [],
          await expectedOf(name, golden.outputs[`value.${layer}`]),
        );
      }
    }
  });

  test("a cache that lost its slots, and a clone, go on to the same bits", async () => {
    const model = causal("gqa");
    const start = {
      input_ids: [
        [5, 6, 7, 8],
        [9, 10, 11, 12],
      ],
      attention_mask: [
        [0, 1, 1, 1],
        [1, 1, 1, 0],
      ],
    };
    const next = {
      input_ids: [[1], [2]],
      attention_mask: [
        [0, 1, 1, 1, 1],
        [1, 1, 1, 0, 1],
      ],
    };
    const first = await model.forward(start);
    const cache = first.past_key_values as KvCache;
    const clone = cache.clone();
    const lost = cache.clone();
    lost.release();
    const expected = await model.forward({ ...next, past_key_values: cache });
    for (const past of [clone, lost]) {
      const out = await model.forward({ ...next, past_key_values: past });
      expect(out.logits).toEqual(expected.logits);
    }
    cache.crop(4);
    expect((await model.forward({ ...next, past_key_values: cache })).logits).toEqual(
      expected.logits,
    );
  });

  test.each(casesOf(["seqcls", "seqcls_multi", "seqcls_reg"], ["seqcls", "error"]))(
    "%s %s",
    async (name, _, golden) => {
      const parts = await loadParts(
        { checkpoint: await openGoldenModel(name) },
        "sequence-classification",
        runtime,
        options,
      );
      const { labels, inputs_embeds_of: ids, pad_token_id, ...inputs } = golden.inputs;
      if ("pad_token_id" in golden.inputs) parts.config.pad_token_id = pad_token_id as null;
      const model = new LlamaForSequenceClassification(parts);
      const embeds = ids === undefined ? undefined : await embeddingsOf(name, ids as number[][]);
      const run = async () =>
        model.forward({
          ...(inputs as object),
          ...(embeds && { inputs_embeds: embeds }),
          ...(labels !== undefined && { labels: await labelsOf(name, labels) }),
        });
      if (golden.kind === "error") {
        const message = String(golden.outputs.error).replace("ValueError: ", "");
        await expect(run()).rejects.toThrow(message);
      } else {
        const out = await run();
        expectClose(out.logits.data, await expectedOf(name, golden.outputs.logits));
        if (golden.outputs.loss !== undefined)
          expectClose([out.loss ?? 0], [golden.outputs.loss as number]);
      }
      model.dispose();
    },
  );

  test.each(casesOf(["tokcls"], ["tokcls"]))("%s %s", async (name, _, golden) => {
    const parts = await loadParts(
      { checkpoint: await openGoldenModel(name) },
      "token-classification",
      runtime,
      options,
    );
    const model = new LlamaForTokenClassification(parts);
    const out = await model.forward(await inputsOf(name, golden));
    expectClose(out.logits.data, await expectedOf(name, golden.outputs.logits));
    expectClose([out.loss ?? 0], [golden.outputs.loss as number]);
    model.dispose();
  });

  test.each(casesOf(["qa"], ["qa"]))("%s %s", async (name, _, golden) => {
    const parts = await loadParts(
      { checkpoint: await openGoldenModel(name) },
      "question-answering",
      runtime,
      options,
    );
    const model = new LlamaForQuestionAnswering(parts);
    const out = await model.forward(golden.inputs);
    expectClose(out.start_logits.data, await expectedOf(name, golden.outputs.start_logits));
    expectClose(out.end_logits.data, await expectedOf(name, golden.outputs.end_logits));
    if (golden.outputs.loss !== undefined)
      expectClose([out.loss ?? 0], [golden.outputs.loss as number]);
    model.dispose();
  });
});

async function labelsOf(model: string, labels: unknown): Promise<number[] | number[][]> {
  const { $t: key, shape } = labels as { $t?: string; shape: number[] };
  if (key === undefined) return labels as number[];
  const flat = await expectedOf(model, labels);
  return Array.from({ length: shape[0] }, (_, row) =>
    flat.slice(row * shape[1], (row + 1) * shape[1]),
  );
}

/** The embeddings of ids, by the model's own table. */
async function embeddingsOf(model: string, ids: number[][]): Promise<Tensor> {
  const { tensors: found } = await openGoldenModel(model);
  const table = found.get("model.embed_tokens.weight");
  if (!table) throw new Error(`${model}: no embeddings`);
  const [vocab, dim] = table.shape;
  const bytes = new Uint8Array(vocab * dim * (table.type === "F32" ? 4 : 2));
  await table.readRows(0, vocab, bytes);
  const words = new Uint16Array(bytes.buffer);
  const word = new DataView(new ArrayBuffer(4));
  const value = (i: number): number => {
    if (table.type === "F32") return new Float32Array(bytes.buffer)[i];
    word.setUint32(0, words[i] << 16); // BF16
    return word.getFloat32(0);
  };
  const data = Float32Array.from(
    ids.flat().flatMap((id) => Array.from({ length: dim }, (_, i) => value(id * dim + i))),
  );
  return { dims: [ids.length, ids[0].length, dim], data };
}

test("every kind of golden case of these models is run here or with generation", () => {
  const counts = new Map<string, number>();
  for (const [, , { kind }] of casesOf(MODELS, KINDS))
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  expect(Object.fromEntries(counts)).toEqual({
    forward: 47,
    incremental: 22,
    loss: 4,
    cache: 1,
    LlamaModel: 1,
    seqcls: 18,
    error: 3,
    qa: 3,
    tokcls: 1,
  });
});

const KINDS = [
  "forward",
  "incremental",
  "loss",
  "cache",
  "LlamaModel",
  "seqcls",
  "error",
  "qa",
  "tokcls",
];
