/** Methods that transformers had and moved out: refused by name, never run as something else. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generate } from "../../src/llama/generation/generate.ts";
import type { GenerationFields } from "../../src/llama/generation/generation-fields.ts";
import { generativeModel } from "../support/generative-models.ts";

interface Golden {
  readonly name: string;
  readonly kind: string;
  readonly inputs: {
    readonly input_ids: number[][];
    readonly generation_config: Partial<GenerationFields>;
  };
}

const path = new URL("../goldens/legacy/golden.json", import.meta.url);
const cases: Golden[] = JSON.parse(readFileSync(path, "utf8")).cases.filter(
  ({ kind }: Golden) => kind === "generate",
);

const REFUSED: Record<string, keyof GenerationFields> = {
  "contrastive_a0.6_k4": "penalty_alpha",
  "contrastive_a0.2_k8": "penalty_alpha",
  group_beam: "num_beam_groups",
  group_beam_ret: "num_beam_groups",
  constrained_force_words: "force_words_ids",
  dola_low: "dola_layers",
};

test("there is an answer to every case", () => {
  expect(cases.map(({ name }) => name).sort()).toEqual(Object.keys(REFUSED).sort());
});

test.each(cases)("$name", async ({ name, inputs }) => {
  const model = await generativeModel("gqa", "reference");
  const { input_ids, generation_config } = inputs;
  const run = generate(model, { input_ids, ...generation_config });
  await expect(run).rejects.toMatchObject({ code: "unsupported", param: REFUSED[name] });
});
