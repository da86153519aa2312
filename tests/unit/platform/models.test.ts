import { expect, test } from "vitest";
import { hostModels } from "../../../src/platform/host/models.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import { goldenCases, goldenPath } from "../../support/golden-model.ts";

const { LlamaForCausalLM, LlamaModel, LlamaForSequenceClassification } = hostModels(nodeHost);

test("a directory's model generates, and its caches outlive that", async () => {
  const [golden] = goldenCases("gqa").filter(({ name }) => name === "gen/greedy");
  const { input_ids, generation_config } = golden.inputs as {
    input_ids: number[][];
    generation_config: object;
  };
  const model = await LlamaForCausalLM.fromPretrained(goldenPath("gqa"));
  expect(model).toBeInstanceOf(LlamaForCausalLM);
  expect(model.config.num_key_value_heads).toBe(2);
  const { past_key_values } = await model.forward({ input_ids });
  const next = { input_ids: [[7]], use_cache: true };
  const before = await model.forward({ ...next, past_key_values: past_key_values?.clone() });
  expect(await model.generate({ input_ids, ...generation_config })).toEqual(
    golden.outputs.sequences,
  );
  expect((await model.forward({ ...next, past_key_values })).logits).toEqual(before.logits);
  model.dispose();
});

test("the bare model has states and no head", async () => {
  const model = await LlamaModel.fromPretrained(goldenPath("gqa"), { backend: "reference" });
  const { last_hidden_state } = await model.forward({ input_ids: [[1, 2, 3]] });
  expect(last_hidden_state.dims).toEqual([1, 3, model.config.hidden_size]);
  model.dispose();
});

test("a head that is not in the files is made by the seed, and told", async () => {
  const notes: string[] = [];
  const load = (seed: number) =>
    LlamaForSequenceClassification.fromPretrained(goldenPath("gqa"), {
      num_labels: 3,
      seed,
      onNote: (note) => notes.push(note),
    });
  const inputs = { input_ids: [[1, 2, 3]] };
  const [one, same, other] = [await load(1), await load(1), await load(2)];
  expect(one.missing_keys).toEqual(["score.weight"]);
  expect(one.unexpected_keys).toEqual(["lm_head.weight"]);
  expect(one.notes).toEqual([expect.stringContaining("newly initialized: score.weight (seed 1)")]);
  expect(notes).toHaveLength(3);
  const { logits } = await one.forward(inputs);
  expect(logits.dims).toEqual([1, 3]);
  expect(new Set(logits.data).size).toBe(3);
  expect((await same.forward(inputs)).logits).toEqual(logits);
  expect((await other.forward(inputs)).logits).not.toEqual(logits);
  for (const model of [one, same, other]) model.dispose();
});

test.each([
  [
    "both ids and embeddings",
    { input_ids: [[1]], inputs_embeds: { dims: [1, 1, 64], data: new Float32Array(64) } },
    "input_ids",
  ],
  ["neither", {}, "input_ids"],
  ["rows of different lengths", { input_ids: [[1, 2], [3]] }, "input_ids"],
  ["a mask of another length", { input_ids: [[1, 2]], attention_mask: [[1]] }, "attention_mask"],
  ["a mask of other numbers", { input_ids: [[1, 2]], attention_mask: [[1, 2]] }, "attention_mask"],
  [
    "positions of other rows",
    {
      input_ids: [[1, 2]],
      position_ids: [
        [0, 1],
        [0, 1],
      ],
    },
    "position_ids",
  ],
  ["columns that are not there", { input_ids: [[1, 2]], logits_to_keep: [2] }, "logits_to_keep"],
  ["labels outside the vocabulary", { input_ids: [[1, 2]], labels: [[1, 512]] }, "labels"],
])("forward refuses %s", async (_, inputs, param) => {
  const model = await LlamaForCausalLM.fromPretrained(goldenPath("gqa"), { slots: 1 });
  await expect(model.forward(inputs)).rejects.toMatchObject({ code: "bad_request", param });
  model.dispose();
});
