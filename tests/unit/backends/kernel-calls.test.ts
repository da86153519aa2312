/**
 * Every call of a kernel stays inside what planMemory() gave for it: random configurations, sizes and batches, masks, stages,
 * with each call's pointers and extents compared with the regions of the plan.
 */
import { beforeEach, expect, test, vi } from "vitest";
import type { Batch, KvType, Runner } from "../../../src/backends/backend.ts";
import { planLlama } from "../../../src/model/plan.ts";
import { isQuantized, type MatrixForm } from "../../../src/pack/forms.ts";
import { type CreateRunner, wasm } from "../../conformance/backends.ts";
import { BUILDS } from "../../support/kernel-builds.ts";
import { type Picker, picker } from "../../support/random-schedules.ts";
import { smallLlama } from "../../support/small-llama.ts";
import { staged } from "../../support/staged.ts";
import {
  type Region,
  regionsOf,
  type WatchedCalls,
  watchKernels,
} from "../../support/watched-kernels.ts";

/** Of the runner, or the stage, that is made last. */
const watched: WatchedCalls[] = [];

vi.mock("../../../src/backends/wasm/memory-layout.ts", async (original) => {
  const real = await original<typeof import("../../../src/backends/wasm/memory-layout.ts")>();
  const planMemory: typeof real.planMemory = (...args) => {
    const layout = real.planMemory(...args);
    planned = layout;
    return layout;
  };
  return { ...real, planMemory };
});
vi.mock("../../../src/backends/wasm/kernel-loader.ts", async (original) => {
  const real = await original<typeof import("../../../src/backends/wasm/kernel-loader.ts")>();
  const instantiateKernels: typeof real.instantiateKernels = (module, memory, reserved) => {
    const kernels = real.instantiateKernels(module, memory, reserved);
    if (!planned) return kernels;
    const calls = { calls: new Map<string, number>(), problems: [], regions: regionsThatAre() };
    watched.push(calls);
    return watchKernels(kernels, memory, calls);
  };
  return { ...real, instantiateKernels };
});
let planned:
  | ReturnType<typeof import("../../../src/backends/wasm/memory-layout.ts").planMemory>
  | undefined;

/** A region that is given less than it has. */
let short: string | undefined;

/** More than the alignment of regions, which leaves some room behind them. */
const MISSING_BYTES = 128;

function regionsThatAre(): Region[] {
  const regions = planned ? regionsOf(planned) : [];
  const isShort = ({ name }: Region): boolean => short !== undefined && name.startsWith(short);
  return regions.map((one) => (isShort(one) ? { ...one, end: one.end - MISSING_BYTES } : one));
}

beforeEach(() => {
  short = undefined;
  planned = undefined;
  watched.length = 0;
});

const SEEDS = 40;

const FORMS: readonly MatrixForm[] = ["q4", "q4m", "q4s", "q6m", "q8", "bf16", "f32"];
const KVS: readonly KvType[] = ["int16", "int8", "bf16", "f32"];

function randomModel(pick: Picker) {
  const kvHeads = 1 + pick(3);
  const heads = kvHeads * (1 + pick(6));
  const headDim = 2 * (1 + pick(40));
  const ffn = pick(2) === 0 ? 32 * (1 + pick(5)) : 1 + pick(150);
  const form = FORMS[pick(FORMS.length)];
  const fields = {
    vocab_size: 17 + pick(100),
    hidden_size: 32 * (1 + pick(4)),
    intermediate_size: ffn,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    hidden_act: pick(3) === 0 ? "gelu" : "silu",
    attention_bias: pick(2) === 0,
    mlp_bias: pick(2) === 0,
    tie_word_embeddings: pick(2) === 0,
    ...(pick(3) === 0 && { rope_scaling: { rope_type: "dynamic", factor: 2 } }),
  };
  const formOf = (name: string): MatrixForm => {
    const cols = name.includes("o_proj") ? heads * headDim : name.includes("down_proj") ? ffn : 32;
    return isQuantized(form) && cols % 32 !== 0 ? "bf16" : form;
  };
  return smallLlama(formOf, fields);
}

/** Batches that fill every size to its last row, and such that do not. */
async function runBatches(runner: Runner, pick: Picker, masks: boolean): Promise<void> {
  const { ctx, slots, maxRows, maxLogits, vocab } = runner;
  for (let turn = 0; turn < 8; turn++) {
    const spans = [];
    let left = turn === 0 ? maxRows : 1 + pick(maxRows);
    for (let slot = 0; slot < slots && left > 0; slot++) {
      const count =
        slot === slots - 1 || turn === 0 ? Math.min(left, ctx) : 1 + pick(Math.min(left, ctx));
      const start = pick(2) === 0 ? ctx - count : pick(ctx - count + 1);
      const visible = new Uint8Array(count * (start + count)).map(() => pick(2));
      spans.push({ slot, start, count, ...(masks && pick(2) === 0 && { visible }) });
      left -= count;
    }
    const rows = spans.reduce((sum, { count }) => sum + count, 0);
    const wanted = Math.min(rows, turn < 2 ? maxLogits : 1 + pick(maxLogits));
    const batch: Batch = {
      // The last rows of the embedding, too.
      ids: Array.from({ length: rows }, () => (pick(3) === 0 ? vocab - 1 : pick(vocab))),
      spans,
      logitsRows: Array.from({ length: wanted }, (_, i) => rows - wanted + i),
    };
    await runner.forward(batch);
    runner.argmax(0);
  }
}

const KINDS: readonly (readonly [string, (pick: Picker) => CreateRunner])[] = [
  ["one memory", (pick) => wasm(BUILDS[pick(BUILDS.length)])],
  ["stages", (pick) => staged(BUILDS[pick(BUILDS.length)], 2)],
];

interface Found {
  readonly kernels: ReadonlySet<string>;
  /** At most three of the first seed that has some. */
  readonly problems: readonly string[];
}

/** Seeds from 1 on, until one has problems. */
async function runModels(kind: string, create: (pick: Picker) => CreateRunner): Promise<Found> {
  const kernels = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const pick = picker(seed);
    const { config, entries } = randomModel(pick);
    const masks = kind === "one memory" && pick(3) === 0;
    const maxRows = 1 + pick(pick(2) === 0 ? 8 : 70);
    const options = {
      ctx: 8 * (1 + pick(20)),
      slots: 1 + pick(3),
      maxRows,
      maxLogits: 1 + pick(maxRows),
      kv: masks ? ("f32" as const) : KVS[pick(KVS.length)],
      ...(masks && { masks }),
    };
    watched.length = 0;
    const runner = await create(pick)(planLlama(config), entries, options);
    await runBatches(runner, pick, masks);
    runner.dispose();
    for (const { calls } of watched) for (const name of calls.keys()) kernels.add(name);
    const problems = watched.flatMap((one) => one.problems).slice(0, 3);
    if (problems.length > 0) return { kernels, problems: [`seed ${seed}`, ...problems] };
  }
  return { kernels, problems: [] };
}

test.each(KINDS)("in %s no call passes what was planned for it", async (kind, create) => {
  const { kernels, problems } = await runModels(kind, create);
  expect(problems).toEqual([]);
  // Otherwise a kernel would never have been looked at.
  expect(kernels.size).toBeGreaterThan(kind === "stages" ? 20 : 28);
});

const REGIONS = [
  "attention",
  "panel",
  "activations",
  "qkv",
  "logits",
  "keys",
  "values",
  "cos",
  "visible",
];

test.each(REGIONS)("a plan that is short of %s is found", async (name) => {
  short = name;
  const [kind, create] = KINDS[0];
  const { problems } = await runModels(kind, create);
  expect(problems.join("\n")).toMatch(new RegExp(`in ${name}`));
});
