/** What `return_tensors` gives is taken by forward and generate as lists are. */
import { expect, test } from "vitest";
import { integerLists } from "../../../src/llama/integer-lists.ts";
import {
  LlamaForCausalLM,
  LlamaForSequenceClassification,
} from "../../../src/platform/node/index.ts";
import { goldenPath } from "../../support/golden-model.ts";

const tensor = (shape: number[], ...data: number[]) => ({ data: Int32Array.from(data), shape });

test("lists stay, tensors become rows", () => {
  const lists = [[1, 2]];
  expect(integerLists(lists, "ids")).toBe(lists);
  expect(integerLists(undefined, "ids")).toBeUndefined();
  expect(integerLists(tensor([2, 3], 1, 2, 3, 4, 5, 6), "ids")).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ]);
});

test.each([
  ["a row", tensor([3], 1, 2, 3)],
  ["more numbers than its shape", tensor([1, 2], 1, 2, 3)],
])("%s is refused", (_, value) => {
  expect(() => integerLists(value, "input_ids")).toThrow("not (batch, length)");
});

test("models take both", async () => {
  const lists = {
    input_ids: [
      [0, 5, 6],
      [7, 8, 9],
    ],
    attention_mask: [
      [0, 1, 1],
      [1, 1, 1],
    ],
  };
  const tensors = {
    input_ids: tensor([2, 3], 0, 5, 6, 7, 8, 9),
    attention_mask: tensor([2, 3], 0, 1, 1, 1, 1, 1),
    position_ids: tensor([2, 3], 0, 1, 2, 0, 1, 2),
  };
  const model = await LlamaForCausalLM.fromPretrained(goldenPath("gqa"));
  expect((await model.forward(tensors)).logits).toEqual((await model.forward(lists)).logits);
  const { position_ids: _, ...prompts } = tensors;
  const options = { max_new_tokens: 3, pad_token_id: 0 };
  expect(await model.generate({ ...prompts, ...options })).toEqual(
    await model.generate({ ...lists, ...options }),
  );
  model.dispose();

  const classifier = await LlamaForSequenceClassification.fromPretrained(goldenPath("seqcls"));
  const scores = await classifier.forward({ input_ids: tensors.input_ids });
  expect(scores.logits).toEqual((await classifier.forward({ input_ids: lists.input_ids })).logits);
  classifier.dispose();
});
