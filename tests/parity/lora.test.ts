/** PEFT's adapters on a runner, against PEFT: logits of each, of two that add up, greedy texts. */
import { describe, expect, test } from "vitest";
import type { Runner, SpanAdapter } from "../../src/backends/backend.ts";
import { checkpointEntries } from "../../src/checkpoints/checkpoint-entries.ts";
import { openCheckpoint } from "../../src/engine/open-checkpoint.ts";
import { planLlama } from "../../src/model/plan.ts";
import { type CreateRunner, reference, wasm } from "../conformance/backends.ts";
import { openGoldenModel } from "../support/golden-model.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import {
  adaptersOf,
  LORA_BASE,
  loraCases,
  loraLogits,
  openGoldenAdapter,
} from "../support/lora.ts";

const BACKENDS: readonly (readonly [string, CreateRunner])[] = [
  ["reference", reference],
  ...BUILDS.map((build) => [`wasm ${build}`, wasm(build)] as const),
];

async function load(create: CreateRunner, quantization: "none" | "q8" = "none"): Promise<Runner> {
  const checkpoint = await openGoldenModel(LORA_BASE);
  const options = { quantization, profile: "default" } as const;
  const { config } = await openCheckpoint(checkpoint, options);
  const sizes = { ctx: 32, slots: 2, maxRows: 24, maxLogits: 24, kv: "f32" } as const;
  return create(planLlama(config), checkpointEntries(checkpoint, config, options), sizes);
}

async function use(runner: Runner, names: readonly string[]): Promise<SpanAdapter[]> {
  const adapters: SpanAdapter[] = [];
  for (const name of names) {
    adapters.push({ handle: await runner.loadAdapter(await openGoldenAdapter(name)), scale: 1 });
  }
  return adapters;
}

describe.each(BACKENDS)("%s", (_, create) => {
  test.each(loraCases().map((golden) => [golden.name, golden] as const))(
    "%s gives PEFT's logits and its greedy text",
    async (name, golden) => {
      const runner = await load(create);
      const adapters = await use(runner, adaptersOf(golden));
      const rows = golden.inputs.input_ids as readonly (readonly number[])[];
      const expected = await loraLogits(name);
      const ids = rows.flat();
      const spans = rows.map(({ length: count }, slot) => ({ slot, start: 0, count, adapters }));
      await runner.forward({ ids, spans, logitsRows: ids.map((_, row) => row) });
      for (const row of ids.keys()) {
        for (const [i, value] of runner.logits(row).entries()) {
          const wanted = expected[row * runner.vocab + i]!;
          const difference = Math.abs(value - wanted);
          if (!(difference <= 2e-4 + 1e-4 * Math.abs(wanted))) {
            throw new Error(`row ${row}, ${i}: ${value}, expected ${wanted}`);
          }
        }
      }
      const { greedy, greedy_prompt_len: prompt } = golden.outputs as {
        greedy?: number[];
        greedy_prompt_len?: number;
      };
      if (!greedy || prompt === undefined) return;
      const text = greedy.slice(0, prompt);
      for (let start = 0; text.length < greedy.length; ) {
        const next = text.slice(start);
        const span = { slot: 0, start, count: next.length, adapters };
        await runner.forward({ ids: next, spans: [span], logitsRows: [next.length - 1] });
        start = text.length;
        text.push(runner.argmax(0));
      }
      expect(text).toEqual(greedy);
    },
  );
});

/** The two largest of a row. */
function best(logits: Float32Array): { readonly id: number; readonly margin: number } {
  const [first, second] = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!);
  return { id: first!, margin: logits[first!]! - logits[second!]! };
}

/** Above what 8 bits of weights and inputs move logits of this small random model by. */
const MARGIN = 0.3;

// Four bits move them by more than most margins; tests/conformance has those over the same weights.
describe("over weights in q8", () => {
  test.each(["qv_r8", "all_r8", "head_r4"])(
    "%s: PEFT's greedy choices, where they win clearly",
    async (name) => {
      const { greedy } = loraCases().find((golden) => golden.name === name)!.outputs as {
        greedy: number[];
      };
      const exact = await load(reference);
      const quantized = await load(wasm(BUILDS.at(-1)!), "q8");
      const rows = greedy.slice(0, -1).map((_, row) => row);
      for (const runner of [exact, quantized]) {
        const adapters = await use(runner, [name]);
        const span = { slot: 0, start: 0, count: rows.length, adapters };
        await runner.forward({ ids: greedy.slice(0, -1), spans: [span], logitsRows: rows });
      }
      const clear = rows.filter((row) => best(exact.logits(row)).margin > MARGIN);
      expect(clear.length).toBeGreaterThan(3);
      for (const row of clear) {
        expect(quantized.argmax(row)).toBe(best(exact.logits(row)).id);
      }
    },
  );
});
