/** LoRA adapters on the model classes, under the names of transformers and PEFT, against PEFT's outputs. */
import { describe, expect, test } from "vitest";
import { mergeLora } from "../../../../src/adapters/merge-lora.ts";
import { openLoraAdapter } from "../../../../src/adapters/open-lora-adapter.ts";
import { castTensor } from "../../../../src/formats/cast-tensor.ts";
import type { LlamaForCausalLM } from "../../../../src/llama/modeling/llama-for-causal-lm.ts";
import { PeftModel } from "../../../../src/llama/modeling/peft-model.ts";
import type { PretrainedOptions } from "../../../../src/llama/modeling/pretrained-options.ts";
import { openGoldenModel } from "../../../support/golden-model.ts";
import { BACKENDS, expectClose, models } from "../../../support/llama-models.ts";
import {
  adaptersOf,
  LORA_BASE,
  loraCases,
  loraLogits,
  openGoldenAdapter,
} from "../../../support/lora.ts";
import { factors, randomTensor, writeAdapter } from "../../../support/written-adapter.ts";

const [{ inputs }] = loraCases() as [ReturnType<typeof loraCases>[number]];
const input_ids = inputs.input_ids as number[][];

async function causal(options?: PretrainedOptions, base = LORA_BASE): Promise<LlamaForCausalLM> {
  const checkpoint = await openGoldenModel(base);
  return models.LlamaForCausalLM.fromPretrained({ checkpoint }, { ctx: 64, ...options });
}

async function withAdapters(
  names: readonly string[],
  options?: PretrainedOptions,
): Promise<LlamaForCausalLM> {
  const model = await causal(options);
  for (const name of names) {
    await model.loadAdapter(await openGoldenAdapter(name), { adapter_name: name });
  }
  return model;
}

const logits = async (model: LlamaForCausalLM): Promise<Float32Array> =>
  (await model.forward({ input_ids, use_cache: false })).logits.data;

const expected = async (name: string): Promise<number[]> => Array.from(await loraLogits(name));

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.sqrt(Array.from(a).reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0));

describe.each(BACKENDS.map((options) => [options.backend, options] as const))(
  "%s",
  (_, options) => {
    test.each(loraCases().map((golden) => [golden.name, golden] as const))(
      "%s: forward and generate give PEFT's outputs",
      async (name, golden) => {
        const model = await withAdapters(adaptersOf(golden), options);
        model.setAdapter(adaptersOf(golden));
        expectClose(await logits(model), await expected(name));
        const { greedy, greedy_prompt_len: prompt } = golden.outputs as {
          greedy?: number[];
          greedy_prompt_len: number;
        };
        if (!greedy) return;
        const found = await model.generate({
          input_ids: [greedy.slice(0, prompt)],
          max_new_tokens: greedy.length - prompt,
          do_sample: false,
          eos_token_id: null,
        });
        expect(found).toEqual([greedy]);
      },
    );

    test("adapters are switched, mixed, disabled and deleted", async () => {
      const model = await withAdapters(["qv_r8", "all_r8"], options);
      expect(model.activeAdapters()).toEqual(["all_r8"]);
      expectClose(await logits(model), await expected("all_r8"));
      model.setAdapter("qv_r8");
      expectClose(await logits(model), await expected("qv_r8"));
      model.setAdapters([{ name: "qv_r8" }, { id: "all_r8", scale: 1 }]);
      expectClose(await logits(model), await expected("stacked"));
      model.disableAdapters();
      expectClose(await logits(model), await expected("base"));
      model.enableAdapters();
      expectClose(await logits(model), await expected("stacked"));
      await model.addWeightedAdapter({
        adapters: ["qv_r8", "all_r8"],
        weights: [1, 1],
        adapter_name: "both",
      });
      await model.deleteAdapter("qv_r8");
      expect(model.activeAdapters()).toEqual(["all_r8"]);
      expectClose(await logits(model), await expected("all_r8"));
      model.setAdapter("both");
      expectClose(await logits(model), await expected("stacked"));
      await model.deleteAdapter(["both", "all_r8"]);
      expect(model.loadedAdapters()).toEqual([]);
      expectClose(await logits(model), await expected("base"));
    });

    test("merged adapters give the same, and nothing of them is left", async () => {
      const model = await withAdapters(["qv_r8", "head_r4"], options);
      model.setAdapter("head_r4");
      expect(await model.mergeAndUnload()).toBe(model);
      expect(model.loadedAdapters()).toEqual([]);
      expectClose(await logits(model), await expected("head_r4"));
      const again = await withAdapters(["qv_r8"], options);
      await again.unload();
      expectClose(await logits(again), await expected("base"));
    });
  },
);

test("a quantized model changes as an exact one does, merged and not", async () => {
  const options = { quantization: "q8" } as const;
  const base = await logits(await causal(options));
  const error = distance(base, await expected("base"));
  const model = await withAdapters(["all_r8"], options);
  expect(distance(await logits(model), await expected("all_r8"))).toBeLessThan(2 * error);
  await model.mergeAndUnload();
  expect(distance(await logits(model), await expected("all_r8"))).toBeLessThan(3 * error);
  expect(distance(base, await expected("all_r8"))).toBeGreaterThan(10 * error);
});

test("a tied model that an adapter's head is merged into is tied no more", async () => {
  const vocab = (await causal({}, "tied")).config.vocab_size;
  const folder = await writeAdapter(
    { r: 4, target_modules: ["lm_head"] },
    factors({ lm_head: [vocab, 64, 4] }),
  );
  const model = await causal({ dtype: "float32" }, "tied");
  await model.loadAdapter(folder);
  const batch = { input_ids: [[5, 6, 7]], use_cache: false };
  const before = await model.forward(batch);
  await model.mergeAndUnload();
  expect(model.config.tie_word_embeddings).toBe(false);
  expectClose((await model.forward(batch)).logits.data, Array.from(before.logits.data));
});

describe("past key values", () => {
  test("go on with other adapters, as PEFT's do, and are computed again with their own", async () => {
    const model = await withAdapters(["qv_r8", "all_r8"], { slots: 1 });
    const [ids] = input_ids as [number[]];
    const steps = async (evicts: boolean): Promise<Float32Array> => {
      model.setAdapter("qv_r8");
      const first = await model.forward({ input_ids: [ids.slice(0, 4)], use_cache: true });
      const { past_key_values } = first;
      model.setAdapter("all_r8");
      await model.forward({ input_ids: [ids.slice(4, 7)], past_key_values });
      if (evicts) await model.forward({ input_ids: [ids], use_cache: true });
      model.disableAdapters();
      const last = await model.forward({ input_ids: [ids.slice(7)], past_key_values });
      return last.logits.data;
    };
    const kept = await steps(false);
    expect(await steps(true)).toEqual(kept);
    expect(distance(kept, (await expected("base")).slice(7 * 512, 10 * 512))).toBeGreaterThan(1);
  });

  test("that were cut are computed again with their own, too", async () => {
    const model = await withAdapters(["all_r8"], { slots: 1 });
    const [ids] = input_ids as [number[]];
    const steps = async (evicts: boolean): Promise<Float32Array> => {
      model.enableAdapters();
      const first = await model.forward({ input_ids: [ids.slice(0, 5)], use_cache: true });
      const past_key_values = first.past_key_values!;
      past_key_values.crop(3);
      model.disableAdapters();
      if (evicts) await model.forward({ input_ids: [ids], use_cache: true });
      return (await model.forward({ input_ids: [ids.slice(3)], past_key_values })).logits.data;
    };
    const kept = await steps(false);
    expect(await steps(true)).toEqual(kept);
  });

  test("are not computed again with what was deleted", async () => {
    const model = await withAdapters(["qv_r8"], { slots: 1 });
    const { past_key_values } = await model.forward({ input_ids: [[1, 2]], use_cache: true });
    await model.deleteAdapter("qv_r8");
    await model.forward({ input_ids: [[3]], past_key_values });
    await model.forward({ input_ids: [[1, 2, 3]], use_cache: true });
    await expect(model.forward({ input_ids: [[4]], past_key_values })).rejects.toMatchObject({
      code: "bad_request",
      message: expect.stringMatching(/made with the adapter .*deleted/),
    });
  });
});

test("past key values that adapters took part in are not saved", async () => {
  const model = await withAdapters(["qv_r8"]);
  const { past_key_values } = await model.forward({ input_ids: [[1, 2]], use_cache: true });
  await expect(past_key_values!.serialize()).rejects.toMatchObject({ code: "unsupported" });
});

describe("heads that adapters bring", () => {
  const q = "model.layers.0.self_attn.q_proj";

  test("score, for a base without one", async () => {
    const folder = await writeAdapter(
      { r: 8, target_modules: ["q_proj"], layers_to_transform: [0], task_type: "SEQ_CLS" },
      { ...factors({ [q]: [64, 64, 8] }), "score.weight": randomTensor([3, 64], 1, 1) },
    );
    const checkpoint = await openGoldenModel(LORA_BASE);
    const merged = mergeLora(checkpoint, [{ adapter: await openLoraAdapter(folder) }]);
    const Model = models.LlamaForSequenceClassification;
    const oracle = await Model.fromPretrained({ checkpoint: merged }, { backend: "reference" });
    const batch = { input_ids: [[5, 6, 7]] };
    const { logits: wanted } = await oracle.forward(batch);
    expect(wanted.dims).toEqual([1, 3]);
    for (const options of BACKENDS) {
      const onNote = (): void => {};
      const model = await Model.fromPretrained(
        { checkpoint },
        { ...options, num_labels: 3, onNote },
      );
      expect(await PeftModel.fromPretrained(model, folder)).toBe(model);
      expectClose((await model.forward(batch)).logits.data, Array.from(wanted.data));
    }
    const other = await Model.fromPretrained({ checkpoint }, { num_labels: 2, onNote: () => {} });
    await expect(other.loadAdapter(folder)).rejects.toThrowError(/score.weight: shape \[3,64\]/);
  });

  test("qa_outputs, with its bias", async () => {
    const key = q.replace("model.", "transformer.");
    const folder = await writeAdapter(
      { r: 8, target_modules: ["q_proj"], layers_to_transform: [0], task_type: "QUESTION_ANS" },
      {
        ...factors({ [key]: [64, 64, 8] }),
        "qa_outputs.weight": randomTensor([2, 64], 1, 1),
        "qa_outputs.bias": randomTensor([2], 2, 1),
      },
    );
    const bf16 = await openGoldenModel("qa");
    const wide = [...bf16.tensors].map(
      ([name, tensor]) => [name, castTensor(tensor, "F32")] as const,
    );
    const checkpoint = { ...bf16, tensors: new Map(wide) };
    const merged = mergeLora(checkpoint, [{ adapter: await openLoraAdapter(folder) }]);
    const Model = models.LlamaForQuestionAnswering;
    const oracle = await Model.fromPretrained({ checkpoint: merged }, { backend: "reference" });
    const batch = { input_ids: [[5, 6, 7]] };
    const wanted = await oracle.forward(batch);
    const plain = await (await Model.fromPretrained({ checkpoint })).forward(batch);
    for (const options of BACKENDS) {
      const model = await Model.fromPretrained({ checkpoint }, options);
      await model.loadAdapter(folder);
      const found = await model.forward(batch);
      expectClose(found.start_logits.data, Array.from(wanted.start_logits.data));
      expectClose(found.end_logits.data, Array.from(wanted.end_logits.data));
      expect(distance(found.end_logits.data, plain.end_logits.data)).toBeGreaterThan(0.1);
    }
  });
});

test("linear combinations sum the factors, as PEFT's", async () => {
  const q = "model.layers.1.self_attn.q_proj";
  const config = { r: 4, lora_alpha: 8, target_modules: ["q_proj"], layers_to_transform: [1] };
  const [one, two] = [factors({ [q]: [64, 64, 4] }, 0.3), factors({ [q]: [64, 64, 4] }, 0.2)];
  const [a, b] = [`${q}.lora_A.weight`, `${q}.lora_B.weight`];
  two[b]!.values.reverse();
  // scaling 2, weights 0.5 and -2: roots of 1 and 4
  const sum = (key: string, factor: number) => ({
    shape: one[key]!.shape,
    values: one[key]!.values.map((value, i) => value + factor * two[key]!.values[i]!),
  });
  const combined = { [a]: sum(a, -2), [b]: sum(b, 2) };
  const model = await causal();
  await model.loadAdapter(await writeAdapter({ ...config, lora_alpha: 4 }, combined));
  const wanted = await logits(model);
  await model.loadAdapter(await writeAdapter(config, one), { adapter_name: "one" });
  await model.loadAdapter(await writeAdapter(config, two), { adapter_name: "two" });
  const options = { adapters: ["one", "two"], weights: [0.5, -2], adapter_name: "sum" };
  await model.addWeightedAdapter({ ...options, combination_type: "linear" });
  model.setAdapter("sum");
  expectClose(await logits(model), Array.from(wanted));
});

describe("refuses", () => {
  test.each([
    [
      "a name that is taken",
      (m: LlamaForCausalLM) => m.loadAdapter("x", { adapter_name: "qv_r8" }),
    ],
    ["names that are not there", async (m: LlamaForCausalLM) => m.setAdapter("other")],
    ["a name twice", async (m: LlamaForCausalLM) => m.setAdapter(["qv_r8", "qv_r8"])],
    [
      "a scale that is no number",
      async (m: LlamaForCausalLM) => m.setAdapters([{ name: "qv_r8", scale: Number.NaN }]),
    ],
    ["to delete what is not there", (m: LlamaForCausalLM) => m.deleteAdapter("other")],
    [
      "another number of tokens beside adapters",
      (m: LlamaForCausalLM) => m.resizeTokenEmbeddings(600),
    ],
    [
      "weights of another number",
      (m: LlamaForCausalLM) =>
        m.addWeightedAdapter({ adapters: ["qv_r8"], weights: [], adapter_name: "w" }),
    ],
  ])("%s", async (_, attempt) => {
    const model = await withAdapters(["qv_r8"]);
    await expect((async () => attempt(model))()).rejects.toMatchObject({ code: "bad_request" });
    expectClose(await logits(model), await expected("qv_r8"));
  });

  test("combinations that are not built, by name", async () => {
    const model = await withAdapters(["qv_r8"]);
    const options = { adapters: ["qv_r8"], weights: [1], adapter_name: "w" };
    const attempt = model.addWeightedAdapter({ ...options, combination_type: "svd" as never });
    await expect(attempt).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("svd"),
    });
  });
});
