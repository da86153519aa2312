/** LoRA on every backend and form: against weights merged by the formula, and the same bits in any batch. */
import { describe, expect, test } from "vitest";
import { openLoraAdapter } from "../../src/adapters/open-lora-adapter.ts";
import type { Runner, Span, SpanAdapter } from "../../src/backends/backend.ts";
import type { RunnerOptions } from "../../src/backends/runner-options.ts";
import { PronkError } from "../../src/errors.ts";
import { parseLlamaConfig } from "../../src/model/config.ts";
import { planLlama } from "../../src/model/plan.ts";
import { llamaTensors } from "../../src/model/tensors.ts";
import type { MatrixForm } from "../../src/pack/forms.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import { threaded } from "../support/threads.ts";
import {
  factors,
  randomTensor,
  type WrittenTensor,
  writeAdapter,
} from "../support/written-adapter.ts";
import { BACKENDS, entriesOf, reference, type TestedBackend, wasm } from "./backends.ts";
import type { TestTensor } from "./op-plans.ts";

const DIM = 64;
const FFN = 96;
const KV = 32;
const VOCAB = 100;
const LAYERS = 2;

const CONFIG = parseLlamaConfig(
  {
    vocab_size: VOCAB,
    hidden_size: DIM,
    intermediate_size: FFN,
    num_hidden_layers: LAYERS,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 64,
    attention_bias: true,
  },
  "adapters",
);

const BASE: TestTensor[] = llamaTensors(CONFIG).map(({ name, shape }, i) => {
  const scale = shape.length === 1 ? 0.5 : 1.7 / Math.sqrt(shape[1]!);
  const { values } = randomTensor(shape, 1000 + i, scale);
  return { name, shape, values: name.endsWith("norm.weight") ? values.map((v) => v + 1) : values };
});

const SIZES: Record<string, [number, number]> = {
  "self_attn.q_proj": [DIM, DIM],
  "self_attn.k_proj": [KV, DIM],
  "self_attn.v_proj": [KV, DIM],
  "self_attn.o_proj": [DIM, DIM],
  "mlp.gate_proj": [FFN, DIM],
  "mlp.up_proj": [FFN, DIM],
  "mlp.down_proj": [DIM, FFN],
};

/** All linear layers, of different ranks, and the head. */
function everyLinear(rank: (i: number) => number): Record<string, WrittenTensor> {
  const modules: Record<string, [number, number, number]> = { lm_head: [VOCAB, DIM, rank(7)] };
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const [i, [name, [out, cols]]] of Object.entries(SIZES).entries()) {
      modules[`model.layers.${layer}.${name}`] = [out, cols, rank(i)];
    }
  }
  return factors(modules, 0.15);
}

const RANKS = { q_proj: 17, "mlp\\.(gate|up)_proj": 3, lm_head: 16 };
const rankOf = (i: number): number => [17, 5, 5, 5, 3, 3, 5, 16][i]!;
const ALL = {
  config: {
    r: 5,
    lora_alpha: 7,
    rank_pattern: RANKS,
    alpha_pattern: { "layers.1.self_attn.v_proj": 2 },
    target_modules: [...Object.keys(SIZES).map((name) => name.split(".")[1]), "lm_head"],
  },
  tensors: everyLinear(rankOf),
};

const EMBEDDED = {
  config: {
    r: 4,
    lora_alpha: 4,
    use_rslora: true,
    target_modules: ["embed_tokens", "q_proj"],
    modules_to_save: ["lm_head", "norm", "v_proj"],
    bias: "all",
    lora_bias: true,
  },
  tensors: {
    ...factors({
      "model.layers.0.self_attn.q_proj": [DIM, DIM, 4],
      "model.layers.1.self_attn.q_proj": [DIM, DIM, 4],
    }),
    "model.layers.0.self_attn.q_proj.lora_B.bias": randomTensor([DIM], 71, 0.5),
    "model.layers.1.self_attn.q_proj.lora_B.bias": randomTensor([DIM], 72, 0.5),
    "model.embed_tokens.lora_embedding_A": randomTensor([4, VOCAB], 73, 0.5),
    "model.embed_tokens.lora_embedding_B": randomTensor([DIM, 4], 74, 0.1),
    "lm_head.weight": randomTensor([VOCAB, DIM], 75, 0.2),
    "model.norm.weight": randomTensor([DIM], 76, 1),
    "model.layers.1.input_layernorm.weight": randomTensor([DIM], 77, 1),
    "model.layers.0.self_attn.v_proj.weight": randomTensor([KV, DIM], 78, 0.2),
    "model.layers.0.self_attn.k_proj.bias": randomTensor([KV], 79, 0.5),
    "model.layers.0.self_attn.v_proj.bias": randomTensor([KV], 80, 0.5),
    "model.layers.0.self_attn.q_proj.base_layer.bias": randomTensor([DIM], 81, 0.5),
  },
};
const ADAPTERS = { ALL, EMBEDDED };

const openAdapter = async (name: keyof typeof ADAPTERS) =>
  openLoraAdapter(await writeAdapter(ADAPTERS[name].config, ADAPTERS[name].tensors));

const OPTIONS: RunnerOptions = { ctx: 64, slots: 4, maxRows: 40, maxLogits: 40, kv: "f32" };

const formed =
  (form: MatrixForm) =>
  (name: string): MatrixForm =>
    name.includes("embed") ? "f32" : form;

function load(
  create: TestedBackend["create"],
  form: MatrixForm,
  options: Partial<RunnerOptions> = {},
  tensors = BASE,
): Promise<Runner> {
  const entries = entriesOf(tensors, formed(form));
  return create(planLlama(CONFIG), entries, { ...OPTIONS, ...options });
}

const IDS = Array.from({ length: 23 }, (_, i) => (i * 37 + 11) % VOCAB);

/** Logits of every row of one sequence, in chunks. */
async function logitsOf(
  runner: Runner,
  adapters: readonly SpanAdapter[],
  chunks: readonly number[] = [IDS.length],
  slot = 0,
): Promise<Float32Array> {
  const out = new Float32Array(IDS.length * VOCAB);
  let start = 0;
  for (const chunk of chunks) {
    const ids = IDS.slice(start, start + chunk);
    const span: Span = { slot, start, count: ids.length, ...(adapters.length > 0 && { adapters }) };
    await runner.forward({ ids, spans: [span], logitsRows: ids.map((_, i) => i) });
    for (const i of ids.keys()) out.set(runner.logits(i), (start + i) * VOCAB);
    start += ids.length;
  }
  return out;
}

const largest = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

/** The base with both adapters in it, by the formula, in f64. */
function mergedByFormula(scales: Readonly<Record<keyof typeof ADAPTERS, number>>): TestTensor[] {
  const merged = new Map(
    BASE.map(({ name, shape, values }) => [name, { shape, values: Float64Array.from(values) }]),
  );
  for (const [name, { shape, values }] of Object.entries(EMBEDDED.tensors)) {
    if (scales.EMBEDDED === 0 || name.includes("lora_")) continue;
    const own = name.replace(".base_layer", "");
    merged.set(own, { shape: [...shape], values: Float64Array.from(values) });
  }
  const add = (
    module: string,
    a: WrittenTensor,
    b: WrittenTensor,
    scale: number,
    isEmbedding = false,
  ): void => {
    const { values } = merged.get(`${module}.weight`)!;
    const [rank, cols] = a.shape as [number, number];
    const rows = b.shape[0]!;
    for (let n = 0; n < rows; n++) {
      for (let i = 0; i < cols; i++) {
        let sum = 0;
        for (let j = 0; j < rank; j++) sum += b.values[n * rank + j]! * a.values[j * cols + i]!;
        values[isEmbedding ? i * rows + n : n * cols + i]! += scale * sum;
      }
    }
  };
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const [i, name] of Object.keys(SIZES).entries()) {
      const module = `model.layers.${layer}.${name}`;
      const alpha = layer === 1 && name.endsWith("v_proj") ? 2 : 7;
      const a = ALL.tensors[`${module}.lora_A.weight`]!;
      const b = ALL.tensors[`${module}.lora_B.weight`]!;
      add(module, a, b, (scales.ALL * alpha) / rankOf(i));
    }
    const q = `model.layers.${layer}.self_attn.q_proj`;
    const { tensors } = EMBEDDED as { tensors: Record<string, WrittenTensor> };
    const scale = (scales.EMBEDDED * 4) / Math.sqrt(4);
    add(q, tensors[`${q}.lora_A.weight`]!, tensors[`${q}.lora_B.weight`]!, scale);
    const bias = merged.get(`${q}.bias`)!.values;
    tensors[`${q}.lora_B.bias`]!.values.forEach((value, i) => {
      bias[i]! += scale * value;
    });
  }
  const { tensors } = EMBEDDED;
  const embedding = "model.embed_tokens";
  const scale = (scales.EMBEDDED * 4) / Math.sqrt(4);
  const a = tensors[`${embedding}.lora_embedding_A`];
  add(embedding, a, tensors[`${embedding}.lora_embedding_B`], scale, true);
  const head = "lm_head";
  const [headA, headB] = ["A", "B"].map((letter) => ALL.tensors[`${head}.lora_${letter}.weight`]!);
  add(head, headA!, headB!, (scales.ALL * 7) / 16);
  return [...merged].map(([name, { shape, values }]) => ({
    name,
    shape: [...shape],
    values: Float32Array.from(values),
  }));
}

type Tested = Pick<TestedBackend, "name" | "create" | "isExact">;
const TESTED: Tested[] = [{ name: "reference", create: reference, isExact: true }, ...BACKENDS];

/** lavapipe takes a minute to compile products of q4s, which are no others with an adapter. */
const FORMS: readonly MatrixForm[] =
  BACKENDS[0]?.name === "webgpu" ? ["q8", "q4m"] : ["q8", "q4m", "q4s"];

/** Of logits of about 1 to 5, where bits depend on how many rows run at once: sums in another order. */
const ORDER_TOLERANCE = 1e-5;

const MIXES: [string, Record<keyof typeof ADAPTERS, number>][] = [
  ["all linear layers", { ALL: 1, EMBEDDED: 0 }],
  ["embedding, biases and replaced tensors", { ALL: 0, EMBEDDED: 1 }],
  ["both, scaled", { ALL: -0.5, EMBEDDED: 0.75 }],
];

async function use(
  runner: Runner,
  scales: Record<keyof typeof ADAPTERS, number>,
): Promise<SpanAdapter[]> {
  const adapters: SpanAdapter[] = [];
  for (const name of ["ALL", "EMBEDDED"] as const) {
    if (scales[name] === 0) continue;
    const handle = await runner.loadAdapter(await openAdapter(name));
    adapters.push({ handle, scale: scales[name] });
  }
  return adapters;
}

describe.each(TESTED)("$name", ({ create, isExact }) => {
  const expectSame = (found: Float32Array, expected: Float32Array): void => {
    if (isExact) expect(found).toEqual(expected);
    else expect(largest(found, expected)).toBeLessThan(ORDER_TOLERANCE);
  };

  test.each(MIXES)("%s: what weights merged by the formula give", async (_, scales) => {
    const expected = await logitsOf(await load(reference, "f32", {}, mergedByFormula(scales)), []);
    const runner = await load(create, "f32");
    const adapters = await use(runner, scales);
    const found = await logitsOf(runner, adapters);
    expect(largest(found, expected)).toBeLessThan(3e-4);
    expect(largest(found, await logitsOf(runner, []))).toBeGreaterThan(1);
  });

  test.each(FORMS)(
    "over %s it differs from the adapted reference as much as the base does",
    async (form) => {
      const oracle = await load(reference, form);
      const runner = await load(create, form);
      const error = largest(await logitsOf(runner, []), await logitsOf(oracle, []));
      const scales = { ALL: 1, EMBEDDED: 1 };
      const found = await logitsOf(runner, await use(runner, scales));
      const expected = await logitsOf(oracle, await use(oracle, scales));
      expect(largest(found, expected)).toBeLessThan(3 * error + 1e-3);
      expect(largest(found, await logitsOf(runner, []))).toBeGreaterThan(1);
    },
  );

  test.each(["f32", ...FORMS.slice(1)] as const)(
    "%s: the bits depend neither on the batch nor on chunks",
    async (form) => {
      const runner = await load(create, form);
      const base = await logitsOf(runner, []);
      const [all] = await use(runner, { ALL: 0.7, EMBEDDED: 0 });
      const [embedded] = await use(runner, { ALL: 0, EMBEDDED: 1 });
      const both = [all!, embedded!];
      const alone = await logitsOf(runner, both);
      expectSame(await logitsOf(runner, both, [1, 4, 17, 1]), alone);
      const expected = [alone, base, await logitsOf(runner, [all!]), alone];
      const mixes = [both, undefined, [all!], both];
      const chunk = 9;
      const found = expected.map(() => new Float32Array(alone.length));
      for (let start = 0; start < IDS.length; start += chunk) {
        const own = IDS.slice(start, start + chunk);
        const spans = mixes.map((adapters, slot) => ({
          slot,
          start,
          count: own.length,
          ...(adapters && { adapters }),
        }));
        const ids = spans.flatMap(() => own);
        await runner.forward({ ids, spans, logitsRows: ids.map((_, i) => i) });
        for (const i of ids.keys()) {
          const row = start + (i % own.length);
          found[Math.floor(i / own.length)]!.set(runner.logits(i), row * VOCAB);
        }
      }
      for (const [i, logits] of found.entries()) expectSame(logits, expected[i]!);
    },
  );

  test("adapters come and go, and what is left gives the same bits", async () => {
    const runner = await load(create, "q8");
    const base = await logitsOf(runner, []);
    expect(runner.adapterBytes).toBe(0);
    const [all] = await use(runner, { ALL: 1, EMBEDDED: 0 });
    const bytes = runner.adapterBytes;
    const found = await logitsOf(runner, [all!]);
    for (let i = 0; i < 20; i++) {
      const [other] = await use(runner, { ALL: 0, EMBEDDED: 1 });
      expect(other!.handle).toBeGreaterThan(all!.handle);
      runner.unloadAdapter(other!.handle);
    }
    expect(runner.adapterBytes).toBe(bytes);
    expect(await logitsOf(runner, [all!])).toEqual(found);
    runner.unloadAdapter(all!.handle);
    expect(runner.adapterBytes).toBe(0);
    expect(await logitsOf(runner, [])).toEqual(base);
    await expect(logitsOf(runner, [all!])).rejects.toMatchObject({ code: "bad_request" });
    expect(() => runner.unloadAdapter(all!.handle)).toThrow(PronkError);
  });

  test("an adapter that does not fit is refused with what it needs", async () => {
    const runner = await load(create, "f32", { adapterBytes: 1000 });
    await expect(use(runner, { ALL: 1, EMBEDDED: 0 })).rejects.toMatchObject({
      code: "out_of_memory",
      message: expect.stringMatching(/the adapter needs \d{5,} bytes/),
    });
    expect(runner.adapterBytes).toBe(0);
  });

  test("spans that ask for what cannot be are refused, and others go on", async () => {
    const runner = await load(create, "f32");
    const [embedded] = await use(runner, { ALL: 0, EMBEDDED: 1 });
    const [twin] = await use(runner, { ALL: 0, EMBEDDED: 1 });
    const expected = await logitsOf(runner, [embedded!]);
    for (const adapters of [
      [embedded!, twin!],
      [embedded!, embedded!],
      [{ handle: 99, scale: 1 }],
      [{ ...embedded!, scale: Number.NaN }],
    ]) {
      await expect(logitsOf(runner, adapters)).rejects.toMatchObject({ code: "bad_request" });
    }
    expect(await logitsOf(runner, [embedded!])).toEqual(expected);
  });
});

/** Whole numbers below `end`, the same for a seed. */
function draws(seed: number): (end: number) => number {
  let state = seed * 7919 + 13;
  return (end) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * end);
  };
}

/** A configuration at random, what PEFT makes of it, and the base with it merged by the formula. */
async function randomCase(seed: number) {
  const draw = draws(seed);
  const names = Object.keys(SIZES).map((name) => name.split(".")[1]!);
  const targets = names.filter(() => draw(3) > 0);
  if (targets.length === 0) targets.push("v_proj");
  const [r, other] = [1 + draw(20), 1 + draw(40)];
  const [alpha, special] = [1 + draw(32), 1 + draw(32)];
  const pick = targets[draw(targets.length)]!;
  const layer = draw(LAYERS);
  const isSingle = draw(2) === 0;
  const isPattern = draw(2) === 0;
  const config = {
    r,
    lora_alpha: alpha,
    use_rslora: draw(2) === 0,
    rank_pattern: { [`.*\\.${pick}`]: other },
    alpha_pattern: { [`${layer}.*.${pick}`]: special },
    target_modules: isPattern ? `.*\\.(${targets.join("|")})` : targets,
    ...(isSingle && !isPattern && { layers_to_transform: [layer], layers_pattern: "layers" }),
  };
  const tensors: Record<string, WrittenTensor> = {};
  const merged = new Map(BASE.map(({ name, values }) => [name, Float64Array.from(values)]));
  for (let own = 0; own < LAYERS; own++) {
    if (isSingle && !isPattern && own !== layer) continue;
    for (const [name, [rows, cols]] of Object.entries(SIZES)) {
      const last = name.split(".")[1]!;
      if (!targets.includes(last)) continue;
      const module = `model.layers.${own}.${name}`;
      const rank = last === pick ? other : r;
      const [A, B] = [draw(1e6), draw(1e6)];
      const a = randomTensor([rank, cols], A, 0.3);
      const b = randomTensor([rows, rank], B, 0.3 / rank);
      tensors[`${module}.lora_A.weight`] = a;
      tensors[`${module}.lora_B.weight`] = b;
      const scaled = last === pick && own === layer ? special : alpha;
      const scale = scaled / (config.use_rslora ? Math.sqrt(rank) : rank);
      const weight = merged.get(`${module}.weight`)!;
      for (let n = 0; n < rows; n++) {
        for (let j = 0; j < rank; j++) {
          const factor = scale * b.values[n * rank + j]!;
          for (let i = 0; i < cols; i++) weight[n * cols + i]! += factor * a.values[j * cols + i]!;
        }
      }
    }
  }
  const base = BASE.map((tensor) => ({
    ...tensor,
    values: Float32Array.from(merged.get(tensor.name)!),
  }));
  return { adapter: await openLoraAdapter(await writeAdapter(config, tensors)), base };
}

test.each(Array.from({ length: 12 }, (_, seed) => [seed]))(
  "configuration %i at random is what PEFT's formula says, on both backends",
  async (seed) => {
    const { adapter, base } = await randomCase(seed);
    const expected = await logitsOf(await load(reference, "f32", {}, base), []);
    for (const create of [reference, BACKENDS.at(-1)!.create]) {
      const runner = await load(create, "f32");
      const plain = await logitsOf(runner, []);
      const handle = await runner.loadAdapter(adapter);
      const found = await logitsOf(runner, [{ handle, scale: 1 }]);
      expect(largest(found, expected)).toBeLessThan(3e-4);
      expect(largest(found, plain)).toBeGreaterThan(1e-2);
    }
  },
);

test("threads run adapted batches to the bits of one thread", async () => {
  const build = BUILDS.at(-1)!;
  const one = await load(wasm(build), "q4m");
  const two = await load(threaded(build, 2), "q4m");
  const scales = { ALL: 1, EMBEDDED: 1 };
  const expected = await logitsOf(one, await use(one, scales));
  expect(await logitsOf(two, await use(two, scales))).toEqual(expected);
  expect(await logitsOf(two, [], [IDS.length], 1)).toEqual(
    await logitsOf(one, [], [IDS.length], 1),
  );
  two.dispose();
});

test("what replaces a product of the residual stream is for merging, but on a GPU", async () => {
  const tensors = { "model.layers.0.self_attn.o_proj.weight": randomTensor([DIM, DIM], 5, 0.2) };
  const folder = await writeAdapter({ r: 4, modules_to_save: ["o_proj"] }, tensors);
  const adapter = await openLoraAdapter(folder);
  const [{ name, create }] = BACKENDS as [TestedBackend];
  const runner = await load(create, "f32");
  const oracle = await load(reference, "f32");
  const handle = await oracle.loadAdapter(adapter);
  const merged = BASE.map((tensor) => {
    const own = tensors[tensor.name as keyof typeof tensors];
    return own ? { ...tensor, values: own.values } : tensor;
  });
  const expected = await logitsOf(await load(reference, "f32", {}, merged), []);
  expect(await logitsOf(oracle, [{ handle, scale: 1 }])).toEqual(expected);
  if (name === "webgpu") {
    const adapters = [{ handle: await runner.loadAdapter(adapter), scale: 0.5 }];
    const plain = await logitsOf(runner, []);
    const found = await logitsOf(runner, adapters);
    expect(largest(found, expected)).toBeLessThan(ORDER_TOLERANCE);
    expect(largest(found, plain)).toBeGreaterThan(1);
    expect(await logitsOf(runner, [])).toEqual(plain);
  } else {
    await expect(runner.loadAdapter(adapter)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("merge"),
    });
  }
});
