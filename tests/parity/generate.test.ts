/** `generate` against transformers: every generation case of the golden models, on two backends. */
import { describe, expect, test } from "vitest";
import { softmax } from "../../src/generate/logits-processors/softmax.ts";
import { generate } from "../../src/llama/generation/generate.ts";
import type { GenerationFields } from "../../src/llama/generation/generation-fields.ts";
import type { GenerateOutput } from "../../src/llama/generation/generation-run.ts";
import { BACKENDS, type Backend, generativeModel } from "../support/generative-models.ts";
import { type GoldenCase, goldenCases, goldenTensors } from "../support/golden-model.ts";

const MODELS = [
  "gqa",
  "mha",
  "mqa",
  "tied",
  "bias",
  "head_dim",
  "bf16_sharded",
  "act_gelu",
  "act_gelu_new",
  "act_relu",
  "rope_dynamic",
  "rope_legacy_type",
  "rope_linear",
  "rope_llama3",
  "rope_longrope",
  "rope_yarn",
];

interface Inputs {
  readonly input_ids?: number[][];
  readonly inputs_embeds?: { $t: string; shape: [number, number, number] };
  readonly attention_mask?: number[][];
  readonly generation_config: Partial<GenerationFields>;
  readonly sampled?: number[];
}

const models = new Map<string, ReturnType<typeof generativeModel>>();

function modelOf(name: string, backend: Backend): ReturnType<typeof generativeModel> {
  const key = `${name}/${backend}`;
  const model = models.get(key) ?? generativeModel(name, backend);
  models.set(key, model);
  return model;
}

async function run(name: string, backend: Backend, inputs: Inputs): Promise<GenerateOutput> {
  const { generation_config, inputs_embeds: embeds, sampled: _, ...given } = inputs;
  return generate(await modelOf(name, backend), {
    ...given,
    ...(embeds && { inputs_embeds: await embeddings(name, embeds) }),
    ...generation_config,
    return_dict_in_generate: true,
    output_scores: true,
  });
}

async function embeddings(
  name: string,
  { $t, shape: [batch, length, width] }: NonNullable<Inputs["inputs_embeds"]>,
): Promise<Float32Array[][]> {
  const data = (await goldenTensors(name)).get($t)!;
  return Array.from({ length: batch }, (_, b) =>
    Array.from({ length }, (_, t) => {
      const at = (b * length + t) * width;
      return data.subarray(at, at + width);
    }),
  );
}

const cases = MODELS.flatMap((model) =>
  goldenCases(model).flatMap((golden) =>
    BACKENDS.map((backend) => ({ ...golden, model, backend, title: `${model} ${golden.name}` })),
  ),
);
const ofKind = (kind: string): (GoldenCase & { model: string; backend: Backend })[] =>
  cases.filter((one) => one.kind === kind);

describe("generates the reference's ids", () => {
  test.each(ofKind("generate"))(
    "$title on $backend",
    async ({ model, backend, inputs, outputs }) => {
      const output = await run(model, backend, inputs as unknown as Inputs);
      expect(output.sequences).toEqual(outputs.sequences);
      // How far ahead of the second the chosen score is, at every step: f32 logits differ by 2e-4.
      (outputs.margins as (number | { $f: string })[][] | undefined)?.forEach((row, i) => {
        row.forEach((margin, step) => {
          const [second, first] = output.scores![step][i].toSorted().slice(-2);
          const expected = typeof margin === "number" ? margin : Number.POSITIVE_INFINITY;
          if (Number.isFinite(expected)) expect(first - second).toBeCloseTo(expected, 3);
          else expect(first - second).toBe(expected);
        });
      });
      (outputs.sequences_scores as number[] | undefined)?.forEach((score, i) => {
        expect(Math.abs(output.sequences_scores![i] - score)).toBeLessThanOrEqual(1e-4);
      });
    },
  );
});

describe("draws from the reference's distribution", () => {
  test.each(ofKind("sample_dist"))(
    "$title on $backend",
    async ({ model, backend, inputs, outputs }) => {
      const { sampled, input_ids, generation_config } = inputs as unknown as Inputs;
      const config = {
        do_sample: true,
        max_new_tokens: 1,
        ...generation_config,
        eos_token_id: null,
      };
      const steps = [input_ids![0], [...input_ids![0], sampled![0]]];
      for (const [i, ids] of steps.entries()) {
        const { scores } = await run(model, backend, {
          input_ids: [ids],
          generation_config: config,
        });
        const found = softmax(scores![0][0]);
        const { ids: kept, p } = outputs[`step${i}`] as { ids: number[]; p: number[] };
        expect([...found.keys()].filter((id) => found[id] > 0)).toEqual(kept);
        // Logits within 2e-4 give probabilities within 2e-4 of their size.
        kept.forEach((id, at) => {
          expect(Math.abs(found[id] - p[at])).toBeLessThanOrEqual(2e-4 * p[at] + 1e-7);
        });
      }
    },
  );
});
