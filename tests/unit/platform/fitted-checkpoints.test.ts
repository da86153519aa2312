/** Checkpoints that are not quite the class's: other heads, other sizes, other fields, other files. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Checkpoint } from "../../../src/checkpoints/checkpoint.ts";
import { openHfDirectory } from "../../../src/checkpoints/hf-directory.ts";
import { packModel } from "../../../src/engine/pack-model.ts";
import { directoryTarget } from "../../../src/platform/host/directory.ts";
import {
  AutoModelForCausalLM,
  AutoModelForTokenClassification,
  LlamaForCausalLM,
  LlamaForSequenceClassification,
  LlamaForTokenClassification,
  LlamaModel,
  openDirectory,
} from "../../../src/platform/node/index.ts";
import { goldenPath } from "../../support/golden-model.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const goldens = new URL("../../goldens/", import.meta.url).pathname;
const INPUTS = { input_ids: [[1, 2, 3]] };
const quiet = { onNote: () => undefined };

async function tokcls(): Promise<Checkpoint> {
  return openHfDirectory(openDirectory(goldenPath("tokcls")));
}

test("a language model over a classifier's files has a new head, unless it is tied", async () => {
  const notes: string[] = [];
  const model = await AutoModelForCausalLM.fromPretrained(goldenPath("seqcls"), {
    onNote: (note) => notes.push(note),
  });
  expect(model.missing_keys).toEqual(["lm_head.weight"]);
  expect(model.unexpected_keys).toEqual(["score.weight"]);
  expect(notes).toEqual([expect.stringContaining("newly initialized: lm_head.weight")]);
  expect(new Set((await model.forward(INPUTS)).logits.data).size).toBeGreaterThan(100);
  model.dispose();
  const tied = await AutoModelForCausalLM.fromPretrained(goldenPath("seqcls"), {
    tie_word_embeddings: true,
  });
  expect(tied.missing_keys).toEqual([]);
  tied.dispose();
});

test("what the body lacks is an error, not made up", async () => {
  const whole = await tokcls();
  const tensors = new Map(whole.tensors);
  const [name] = [...tensors.keys()].filter((key) => key.endsWith("layers.0.mlp.up_proj.weight"));
  tensors.delete(name);
  const loading = LlamaModel.fromPretrained({ checkpoint: { ...whole, tensors } });
  await expect(loading).rejects.toThrow(/tensor model\.layers\.0\.mlp\.up_proj\.weight is missing/);
});

test("a head of another number of labels is an error, or made anew where that is asked for", async () => {
  const path = goldenPath("tokcls");
  const wrong = AutoModelForTokenClassification.fromPretrained(path, { num_labels: 11 });
  await expect(wrong).rejects.toMatchObject({
    code: "bad_format",
    message: expect.stringMatching(/score\.weight: shape \[\d+,64\], expected \[11,64\]/),
  });
  const model = await AutoModelForTokenClassification.fromPretrained(path, {
    ...quiet,
    num_labels: 11,
    ignore_mismatched_sizes: true,
  });
  expect(model.missing_keys).toEqual(["score.weight", "score.bias"]);
  expect((await model.forward(INPUTS)).logits.dims).toEqual([1, 3, 11]);
  model.dispose();
});

test("a layer that is called classifier is the head of tokens", async () => {
  const whole = await tokcls();
  const renamed = [...whole.tensors].map(([name, tensor]) => {
    const other = name.replace(/^score\./, "classifier.");
    return [other, { ...tensor, name: other }] as const;
  });
  const checkpoint = { ...whole, tensors: new Map(renamed) };
  const model = await LlamaForTokenClassification.fromPretrained({ checkpoint });
  const own = await LlamaForTokenClassification.fromPretrained({ checkpoint: whole });
  expect(model.missing_keys).toEqual([]);
  expect((await model.forward(INPUTS)).logits).toEqual((await own.forward(INPUTS)).logits);
  model.dispose();
  own.dispose();
});

test("fields among the options, and a config, take the place of the files' own", async () => {
  const path = goldenPath("gqa");
  const short = await LlamaModel.fromPretrained(path, { num_hidden_layers: 1 });
  expect(short.config.num_hidden_layers).toBe(1);
  expect(short.unexpected_keys.some((name) => name.includes("layers.1."))).toBe(true);
  const one = await short.forward({ ...INPUTS, output_hidden_states: true });
  expect(one.hidden_states).toHaveLength(2);
  const config = { ...short.config.toJSON(), rms_norm_eps: 1e-3 };
  const given = await LlamaModel.fromPretrained(path, { config });
  expect(given.config.rms_norm_eps).toBe(1e-3);
  expect((await given.forward(INPUTS)).last_hidden_state).not.toEqual(one.last_hidden_state);
  await expect(LlamaModel.fromPretrained(path, { hidden_act: "mish" })).rejects.toMatchObject({
    code: "unsupported",
  });
  short.dispose();
  given.dispose();
});

test("an adapter's folder gives its base with the adapter", async () => {
  const source = join(goldens, "lora/qv_r8");
  const folder = await temporaryFolder();
  const fields = JSON.parse(await readFile(join(source, "adapter_config.json"), "utf8"));
  const name = async (base: unknown): Promise<void> => {
    const config = { ...fields, base_model_name_or_path: base };
    await writeFile(join(folder, "adapter_config.json"), JSON.stringify(config));
  };
  await cp(join(source, "adapter_model.safetensors"), join(folder, "adapter_model.safetensors"));
  await name(goldenPath("gqa"));
  const model = await AutoModelForCausalLM.fromPretrained(folder);
  const own = await LlamaForCausalLM.fromPretrained(goldenPath("gqa"));
  const plain = (await own.forward(INPUTS)).logits;
  await own.loadAdapter(source);
  expect((await model.forward(INPUTS)).logits).toEqual((await own.forward(INPUTS)).logits);
  expect((await own.forward(INPUTS)).logits).not.toEqual(plain);
  model.dispose();
  own.dispose();
  await name(folder);
  await expect(AutoModelForCausalLM.fromPretrained(folder)).rejects.toThrow(/an adapter, no base/);
  await name(null);
  await expect(AutoModelForCausalLM.fromPretrained(folder)).rejects.toThrow(/names no base/);
});

test("use_safetensors and from_pt choose among the files", async () => {
  const folder = await temporaryFolder();
  await cp(join(goldens, "checkpoints/pytorch_bin"), folder, { recursive: true });
  const load = async (options: object): Promise<void> =>
    (await LlamaForCausalLM.fromPretrained(folder, options)).dispose();
  await load({});
  await load({ use_safetensors: false });
  await load({ from_pt: true });
  await expect(load({ use_safetensors: true })).rejects.toMatchObject({ code: "not_found" });
  await expect(load({ from_flax: true })).rejects.toMatchObject({ code: "not_found" });
  await expect(load({ from_flax: true, from_pt: true })).rejects.toMatchObject({
    param: "from_flax",
  });
  const gqa = goldenPath("gqa");
  await expect(
    LlamaForCausalLM.fromPretrained(gqa, { use_safetensors: false }),
  ).rejects.toMatchObject({ code: "not_found" });
});

test("a pack keeps its form: what it cannot be is refused by name", async () => {
  const folder = await temporaryFolder();
  const checkpoint = await openHfDirectory(openDirectory(goldenPath("gqa")));
  await packModel({ checkpoint }, directoryTarget(folder), {
    quantization: "int8",
    profile: "default",
  });
  const model = await AutoModelForCausalLM.fromPretrained(folder, { quantization: "int8" });
  expect((await model.forward(INPUTS)).logits.dims[1]).toBe(3);
  model.dispose();
  for (const [param, options] of [
    ["quantization", { quantization: "q4" }],
    ["quantization", { load_in_4bit: true }],
    ["dtype", { dtype: "bfloat16" }],
    ["rope_theta", { rope_theta: 5 }],
    ["config", { config: {} }],
    ["variant", { variant: "fp16" }],
  ] as const) {
    await expect(AutoModelForCausalLM.fromPretrained(folder, options)).rejects.toMatchObject({
      param,
    });
  }
  await expect(
    LlamaForSequenceClassification.fromPretrained(openDirectory(folder)),
  ).rejects.toMatchObject({ code: "unsupported" });
});

test("a GGUF file's model may have fields replaced and another head", async () => {
  const path = join(goldens, "gguf/F16.gguf");
  const model = await LlamaForSequenceClassification.fromPretrained(path, {
    ...quiet,
    num_labels: 4,
  });
  expect(model.missing_keys).toEqual(["score.weight"]);
  expect((await model.forward(INPUTS)).logits.dims).toEqual([1, 4]);
  model.dispose();
  const same = await LlamaForCausalLM.fromPretrained(path, { rms_norm_eps: 1e-2 });
  const own = await LlamaForCausalLM.fromPretrained(path);
  expect((await same.forward(INPUTS)).logits).not.toEqual((await own.forward(INPUTS)).logits);
  same.dispose();
  own.dispose();
});
