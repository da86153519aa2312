/**
 * Whole models of random configurations, over random batches, against the reference: heads and widths that are no powers of
 * two, every rotary scaling, activation, form and cache. On wasm, and by `npm run test:webgpu` on webgpu.
 *
 * PRONK_TEST_CONFIGS=N runs so many on each backend, from PRONK_TEST_SEED on.
 */
import { expect, test } from "vitest";
import type { Batch, KvType, Runner } from "../../src/backends/backend.ts";
import { planLlama } from "../../src/model/plan.ts";
import { isQuantized, type MatrixForm } from "../../src/pack/forms.ts";
import { type Picker, picker } from "../support/random-schedules.ts";
import { smallLlama } from "../support/small-llama.ts";
import { BACKENDS, reference } from "./backends.ts";
import { relativeError } from "./op-errors.ts";

const isWebgpu = process.env.PRONK_TEST_BACKEND === "webgpu";

/** A CPU's driver compiles the shaders of a configuration anew, for seconds. */
const CONFIGS = Number(process.env.PRONK_TEST_CONFIGS ?? (isWebgpu ? 1 : 12));
const FIRST_SEED = Number(process.env.PRONK_TEST_SEED ?? 1);
const seeds = Array.from({ length: CONFIGS }, (_, i) => FIRST_SEED + i);

const CTX = 96;
const SLOTS = 3;

/** What two layers make of an operation's rounding, where the next ones read it. */
const GROWTH = 3;

const FORMS: readonly MatrixForm[] = ["f32", "bf16", "q8", "q6m", "q4", "q4m", "q4s"];
const ACTS = ["silu", "gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "relu2"];

function ropeOf(pick: Picker, half: number): Readonly<Record<string, unknown>> {
  const factor = 1 + pick(8) / 2;
  const original = 16 + pick(64);
  const list = (most: number): number[] => Array.from({ length: half }, () => 1 + pick(most) / 4);
  switch (pick(7)) {
    case 0:
      return { rope_scaling: { rope_type: "linear", factor } };
    case 1: {
      const given = { original_max_position_embeddings: original, beta_fast: 8 };
      return { rope_scaling: { rope_type: "yarn", factor: factor + 1, ...given } };
    }
    case 2: {
      const ends = { low_freq_factor: 1, high_freq_factor: 4 };
      const given = { original_max_position_embeddings: original, ...ends };
      return { rope_scaling: { rope_type: "llama3", factor, ...given } };
    }
    case 3: {
      const given = { short_factor: list(4), long_factor: list(12), factor: 2 };
      return { rope_scaling: { rope_type: "longrope", ...given } };
    }
    default:
      return { rope_theta: 10 ** (1 + pick(6)) };
  }
}

function randomConfig(pick: Picker) {
  const kvHeads = 1 + pick(4);
  const heads = kvHeads * (1 + pick(5));
  const half = 1 + pick(pick(3) === 0 ? 64 : 20);
  // Every other one computes in f32 throughout, where a slip of a part in 100,000 shows.
  const isFloat = pick(2) === 0;
  const form = FORMS[pick(isFloat ? 2 : FORMS.length)];
  const fields = {
    vocab_size: 20 + pick(150),
    hidden_size: 32 * (1 + pick(5)),
    intermediate_size: pick(2) === 0 ? 32 * (1 + pick(6)) : 1 + pick(160),
    num_hidden_layers: 1 + pick(2),
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: 2 * half,
    hidden_act: ACTS[pick(ACTS.length)],
    rms_norm_eps: 10 ** -(3 + pick(5)),
    tie_word_embeddings: pick(2) === 0,
    attention_bias: pick(2) === 0,
    mlp_bias: pick(2) === 0,
    max_position_embeddings: CTX + pick(100),
    ...ropeOf(pick, half),
  };
  const columns = { o_proj: heads * 2 * half, down_proj: fields.intermediate_size };
  const formOf = (name: string): MatrixForm => {
    const [, module] = /\.(o_proj|down_proj)\./.exec(name) ?? [];
    const cols = module === undefined ? 32 : columns[module as keyof typeof columns];
    return isQuantized(form) && cols % 32 !== 0 ? "f32" : form;
  };
  return { form, formOf, fields, isFloat };
}

/** Prompts of several slots in chunks of the given sizes, in any order, with steps between. */
function randomBatches(pick: Picker, vocab: number, chunks: readonly number[], rows: number) {
  const lengths = Array.from({ length: SLOTS }, () => 0);
  return Array.from({ length: 6 }, (): Batch => {
    const spans = [];
    let left = rows;
    for (const slot of [0, 1, 2].sort(() => pick(3) - 1)) {
      const count = pick(3) === 0 ? 1 : chunks[pick(chunks.length)];
      if (count > left || lengths[slot] + count > CTX || pick(4) === 0) continue;
      spans.push({ slot, start: lengths[slot], count });
      lengths[slot] += count;
      left -= count;
    }
    if (spans.length === 0) spans.push({ slot: 0, start: lengths[0]++, count: 1 });
    const count = spans.reduce((sum, span) => sum + span.count, 0);
    const wanted = Array.from({ length: count }, (_, row) => row).filter(
      (row) => row === count - 1 || pick(2) === 0,
    );
    return { ids: Array.from({ length: count }, () => pick(vocab)), spans, logitsRows: wanted };
  });
}

async function logitsOf(runner: Runner, batches: readonly Batch[]): Promise<number[][]> {
  const found: number[][] = [];
  for (const batch of batches) {
    await runner.forward(batch);
    for (const i of batch.logitsRows.keys()) found.push(Array.from(runner.logits(i)));
  }
  runner.dispose();
  return found;
}

for (const { name, create, caches, rows, tolerance } of BACKENDS) {
  test.each(seeds)(`${name}: configuration %d is the reference's`, async (seed) => {
    const pick = picker(seed);
    const { form, formOf, fields, isFloat } = randomConfig(pick);
    const kv: KvType = isFloat ? "f32" : caches[pick(caches.length)];
    const { config, entries } = smallLlama(formOf, fields);
    const most = Math.max(...rows);
    const batches = randomBatches(pick, config.vocab_size, rows, most);
    const options = { ctx: CTX, slots: SLOTS, maxRows: most, maxLogits: most, kv };
    const plan = planLlama(config);
    const found = await logitsOf(await create(plan, entries, options), batches);
    const expected = await logitsOf(await reference(plan, entries, options), batches);
    const error = relativeError(found, expected);
    const what = JSON.stringify({ form, kv, ...fields });
    expect(error, what).toBeLessThan(tolerance(form, kv) * GROWTH);
  });
}
