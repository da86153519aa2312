import { describe, expect, test } from "vitest";
import { chooseForBudget } from "../../../src/engine/budget-choice.ts";
import { BUDGET_CHUNK, type PlanOptions, planModel } from "../../../src/engine/load-model.ts";
import type { ModelInput } from "../../../src/engine/opened-model.ts";
import { packModel } from "../../../src/engine/pack-model.ts";
import { PronkError } from "../../../src/errors.ts";
import { readGolden } from "../../support/tiny-gguf.ts";
import { memoryFolder } from "../pack/memory-folder.ts";

/** Float weights: auto has 8 bits, q4 is smaller. The model has 128 positions. */
const floats: ModelInput = { gguf: [readGolden("BF16.gguf")] };
const fourBits: ModelInput = { gguf: [readGolden("MIX_Q4_1_Q8_0.gguf")] };

const ORDER = [
  ["auto", "default", "int16"],
  ["auto", "default", "int8"],
  ["auto", "small", "int16"],
  ["auto", "small", "int8"],
  ["q4", "small", "int16"],
  ["q4", "small", "int8"],
  ["q4s", "default", "int16"],
  ["q4s", "default", "int8"],
  ["q4s", "small", "int16"],
  ["q4s", "small", "int8"],
] as const;

const slots = 8; // so that the cache matters beside the weights

async function totalOf(
  input: ModelInput,
  [quantization, profile, kv]: (typeof ORDER)[number],
  more: PlanOptions = {},
): Promise<number> {
  const form = { quantization, profile, kv, slots, chunk: BUDGET_CHUNK };
  const { memory } = await planModel(input, { ...form, ...more });
  return memory.total;
}

async function chosen(
  input: ModelInput,
  bytes: number,
  options: PlanOptions = {},
): Promise<string> {
  const budget = { bytes, reservedBytes: 0 };
  const found = await chooseForBudget(input, budget, { slots, ...options });
  expect(found.plan.memory.total).toBeLessThanOrEqual(bytes);
  return `${found.quantization} ${found.profile} ${found.kv}`;
}

describe.each([
  ["float weights", floats],
  ["4-bit weights", fourBits],
])("of %s", (_, input) => {
  test("the first form of the order that fits is chosen, at every budget", async () => {
    const totals: number[] = [];
    for (const form of ORDER) totals.push(await totalOf(input, form));
    for (const bytes of totals.flatMap((total) => [total - 1, total, total + 1])) {
      const first = totals.findIndex((total) => total <= bytes);
      if (first < 0) continue;
      expect(await chosen(input, bytes), `${bytes} of ${totals}`).toBe(ORDER[first].join(" "));
    }
  });
});

test("more budget is context, where none is asked", async () => {
  const few = await totalOf(floats, ORDER[0], { ctx: 64 });
  const budget = { bytes: few, reservedBytes: 0 };
  const { plan } = await chooseForBudget(floats, budget, { slots, ctx: 64 });
  expect(plan.runner.ctx).toBe(64);
  const all = await totalOf(floats, ORDER[0]);
  const longest = await chooseForBudget(floats, { bytes: all, reservedBytes: 0 }, { slots });
  expect(longest.plan.runner.ctx).toBe(128);
});

test("what is reserved is not the plan's", async () => {
  const bytes = await totalOf(floats, ORDER[0]);
  const budget = { bytes: bytes + 999, reservedBytes: 1000 };
  expect((await chooseForBudget(floats, budget, { slots })).kv).toBe("int8");
});

test("what is asked for stays", async () => {
  const smallest = await totalOf(floats, ORDER[5]);
  expect(await chosen(floats, 1e9, { quantization: "none" })).toBe("none default f32");
  expect(await chosen(floats, 1e9, { quantization: "q8", kv: "bf16" })).toBe("q8 default bf16");
  expect(await chosen(floats, 1e9, { profile: "small" })).toBe("auto small int16");
  await expect(chosen(floats, smallest, { quantization: "q8" })).rejects.toThrow(/\(q8, /);
});

test("a pack keeps its weights; its cache may shrink", async () => {
  const folder = memoryFolder("pack");
  await packModel(fourBits as Parameters<typeof packModel>[0], folder, {});
  const pack: ModelInput = { pack: folder };
  const bytes = await totalOf(fourBits, ORDER[0]);
  expect(await chosen(pack, bytes)).toBe("auto default int16");
  expect(await chosen(pack, bytes - 1)).toBe("auto default int8");
  const least = await totalOf(fourBits, ORDER[1]);
  await expect(chosen(pack, least - 1)).rejects.toThrow(`a budget of ${least} would do`);
});

test("the refusal names the numbers and the next thing to do", async () => {
  const [weights, total] = await planModel(floats, {
    chunk: BUDGET_CHUNK,
    quantization: "q4s",
    profile: "small",
    kv: "int8",
    slots,
  }).then(({ memory }) => [memory.weights, memory.total]);
  const refusal = await chooseForBudget(floats, { bytes: total + 6, reservedBytes: 7 }, { slots })
    .then(() => undefined)
    .catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(PronkError);
  const { code, message } = refusal as PronkError;
  expect(code).toBe("out_of_memory");
  expect(message).toContain(`the budget is ${total + 6} bytes, 7 of them`);
  expect(message).toContain(`takes ${total} at ctx 128 and 8 sequences: weights ${weights},`);
  expect(message).toMatch(new RegExp(`; ctx 120 fits, or a budget of ${total + 7} would do$`));
});
