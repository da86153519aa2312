import { describe, expect, test } from "vitest";
import type { Runner } from "../../src/backends/backend.ts";
import { openCheckpoint } from "../../src/engine/open-checkpoint.ts";
import { planLlama } from "../../src/model/plan.ts";
import { BACKENDS_AND_REFERENCE, type CreateRunner } from "../conformance/backends.ts";
import {
  type GoldenCase,
  goldenCases,
  goldenTensors,
  openGoldenModel,
} from "../support/golden-model.ts";

const MODELS = [
  "mha",
  "gqa",
  "mqa",
  "tied",
  "bias",
  "head_dim",
  "bf16_sharded",
  "rope_linear",
  "rope_legacy_type",
  "rope_dynamic",
  "rope_yarn",
  "rope_longrope",
  "rope_llama3",
  "act_gelu",
  "act_gelu_new",
  "act_relu",
];

const backends = BACKENDS_AND_REFERENCE.map(({ name, create }) => [name, create] as const);

/** Longer than any case. */
const CTX = 64;

async function open(model: string, create: CreateRunner): Promise<Runner> {
  const checkpoint = await openGoldenModel(model);
  const opened = await openCheckpoint(checkpoint, { quantization: "none", profile: "default" });
  const sizes = { ctx: CTX, slots: 1, maxRows: CTX, maxLogits: CTX, kv: "f32" } as const;
  return create(planLlama(opened.config), opened.entries, sizes);
}

/** Logits of every row, row after row, each sequence in chunks. */
async function allLogits(
  runner: Runner,
  sequences: number[][],
  chunks: number[],
): Promise<number[]> {
  const logits: number[] = [];
  for (const ids of sequences) {
    let start = 0;
    for (const count of chunks) {
      await runner.forward({
        ids: ids.slice(start, start + count),
        spans: [{ slot: 0, start, count }],
        logitsRows: Array.from({ length: count }, (_, row) => row),
      });
      for (let row = 0; row < count; row++) for (const x of runner.logits(row)) logits.push(x);
      start += count;
    }
  }
  return logits;
}

async function greedy(runner: Runner, { inputs }: GoldenCase): Promise<number[]> {
  const [prompt] = inputs.input_ids as number[][];
  const config = inputs.generation_config as Record<string, number | number[] | null>;
  const { max_new_tokens, max_length, eos_token_id } = config as Record<string, number>;
  const length = max_length ?? prompt.length + max_new_tokens;
  const stops = [eos_token_id].flat();
  const ids = [...prompt];
  for (let start = 0; ids.length < length; ) {
    const count = ids.length - start;
    const spans = [{ slot: 0, start, count }];
    await runner.forward({ ids: ids.slice(start), spans, logitsRows: [count - 1] });
    start = ids.length;
    ids.push(runner.argmax(0));
    if (stops.includes(ids.at(-1) as number)) break;
  }
  return ids;
}

/** Of a causal pass over whole sequences; masks, positions, states and the like are the models' tests. */
const isPlain = ({ kind, inputs, outputs }: GoldenCase): boolean =>
  kind === "forward" && Object.keys(inputs).join() === "input_ids" && "logits" in outputs;

const isIncremental = ({ kind, inputs, outputs }: GoldenCase): boolean =>
  kind === "incremental" &&
  Object.keys(inputs).join() === "input_ids,chunks" &&
  "logits" in outputs;

const PLAIN_GENERATION = [
  "pad_token_id",
  "max_new_tokens",
  "max_length",
  "do_sample",
  "eos_token_id",
];
const isGreedy = ({ kind, inputs }: GoldenCase): boolean =>
  kind === "generate" &&
  Object.keys(inputs).join() === "input_ids,generation_config" &&
  Object.keys(inputs.generation_config as object).every((key) => PLAIN_GENERATION.includes(key));

function goldenList(wanted: (found: GoldenCase) => boolean): [string, string, GoldenCase][] {
  return MODELS.flatMap((model) =>
    goldenCases(model)
      .filter(wanted)
      .map((found): [string, string, GoldenCase] => [model, found.name, found]),
  );
}

test("the golden folders have the cases that are compared", () => {
  expect(goldenList(isPlain).length).toBe(37);
  expect(goldenList(isIncremental).length).toBe(20);
  expect(goldenList(isGreedy).length).toBe(20);
});

describe.each(backends)("%s, weights as they are", (_, create) => {
  test.each([...goldenList(isPlain), ...goldenList(isIncremental)])(
    "%s %s gives transformers' logits",
    async (model, name, { inputs }) => {
      const runner = await open(model, create);
      const sequences = inputs.input_ids as number[][];
      const chunks = (inputs.chunks as number[] | undefined) ?? [sequences[0].length];
      const expected = (await goldenTensors(model)).get(`${name}/logits`)!;
      const found = await allLogits(runner, sequences, chunks);
      expect(found.length).toBe(expected.length);
      expected.forEach((value, i) => {
        expect(Math.abs(found[i] - value)).toBeLessThanOrEqual(2e-4 + 1e-4 * Math.abs(value));
      });
    },
  );

  test.each(goldenList(isGreedy))("%s %s gives the same greedy ids", async (model, _, golden) => {
    const runner = await open(model, create);
    const [expected] = golden.outputs.sequences as number[][];
    expect(await greedy(runner, golden)).toEqual(expected);
  });
});
