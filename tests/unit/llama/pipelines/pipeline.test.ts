import { describe, expect, test } from "vitest";
import type { PronkError } from "../../../../src/errors.ts";
import {
  AutoModelForCausalLM,
  AutoModelForQuestionAnswering,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  AutoTokenizer,
  pipeline,
} from "../../../../src/platform/node/index.ts";
import { type Tensor, TextIteratorStreamer } from "../../../../src/platform/types.ts";

const MODELS = "tests/goldens/pipelines";
const LLAMA2 = "tests/goldens/tokenizers/llama2_sp/fast";
const LLAMA3 = "tests/goldens/tokenizers/llama3_tiktoken/hf";
const TEXT = "Anna Müller lives in São Paulo 😀 and works at pydoc.";

const anyPipeline = pipeline as (...args: unknown[]) => Promise<unknown>;

async function refusal(made: Promise<unknown>): Promise<PronkError> {
  return made.then(
    () => {
      throw new Error("not refused");
    },
    (error) => error as PronkError,
  );
}

describe("pipeline()", () => {
  test("lists the tasks when it is asked for another", async () => {
    const summary = await refusal(anyPipeline("summarization"));
    expect(summary.code).toBe("unsupported");
    expect(summary.message).toBe(
      "pipeline: summarization: no task of a Llama, available tasks are feature-extraction, ner, question-answering, sentiment-analysis, text-classification, text-generation, token-classification, zero-shot-classification",
    );
    for (const name of ["text2text-generation", "translation_en_to_de", "fill-mask"]) {
      expect((await refusal(anyPipeline(name))).message).toContain(`${name}: no task of a Llama`);
    }
    const none = await refusal(anyPipeline("poetry"));
    expect([none.code, none.param]).toEqual(["bad_request", "task"]);
    expect((await refusal(anyPipeline("toString"))).code).toBe("bad_request");
  });

  test("loads model and tokenizer by path, with the options of both", async () => {
    using pipe = await pipeline("sentiment-analysis", `${MODELS}/nli`, {
      tokenizer: LLAMA2,
      dtype: "bfloat16",
      device: 0,
      device_map: "auto",
      slots: 2,
      top_k: null,
    });
    expect(pipe.task).toBe("text-classification");
    expect(pipe.tokenizer.length).toBe(1000);
    expect(pipe.model.backend).toBe("wasm");
    const [all] = (await pipe([TEXT])) as unknown as { label: string }[][];
    expect(all?.map(({ label }) => label)).toEqual(["neutral", "entailment", "contradiction"]);
    const same = await pipeline("text-classification", pipe.model, { tokenizer: pipe.tokenizer });
    expect(await same(TEXT)).toEqual([all?.[0]]);
  });

  test("dispose() ends the model", async () => {
    const pipe = await pipeline("ner", `${MODELS}/ner`, { tokenizer: LLAMA2 });
    pipe.dispose();
    await expect(pipe(TEXT)).rejects.toThrow();
  });

  test.each([
    [{ device: "webgpu" }, "bad_request", "pipeline: backend: the model is loaded already"],
    [
      { device: "cuda:0" },
      "unsupported",
      "pipeline: device: cuda:0 is none of wasm, cpu, webgpu, -1, 0",
    ],
    [{ framework: "tf" }, "unsupported", "pipeline: framework: tf: there is one, called pt"],
    [{ colour: 1 }, "bad_request", "text-classification: colour: no such option"],
    [{ batch_size: 0 }, "bad_request", "pipeline: batch_size: 0 is not 1 or more"],
    [{ top_k: 1.5 }, "bad_request", "text-classification: top_k: 1.5 is no integer"],
  ])("refuses %j", async (options, code, message) => {
    const model = await AutoModelForSequenceClassification.fromPretrained(`${MODELS}/nli`);
    const tokenizer = await AutoTokenizer.fromPretrained(LLAMA2);
    const made = anyPipeline("text-classification", model, { tokenizer, ...options });
    const error = await refusal(made.then((pipe) => (pipe as (text: string) => unknown)(TEXT)));
    model.dispose();
    expect([error.code, error.message]).toEqual([code, message]);
  });

  test("refuses a model of another task, one without a tokenizer, and how a loaded one is loaded", async () => {
    using model = await AutoModelForCausalLM.fromPretrained(`${MODELS}/causal`);
    const tokenizer = await AutoTokenizer.fromPretrained(LLAMA2);
    const other = await refusal(anyPipeline("ner", model, { tokenizer }));
    expect(other.message).toBe(
      "pipeline: token-classification: the model's head is causal-lm, not token-classification",
    );
    const alone = await refusal(anyPipeline("text-generation", model));
    expect(alone.message).toContain("Impossible to guess which tokenizer to use.");
    const again = await refusal(anyPipeline("text-generation", model, { tokenizer, dtype: "f16" }));
    expect(again.message).toBe("pipeline: dtype: the model is loaded already");
    expect((await refusal(anyPipeline("ner"))).message).toContain("it has no default one");
  });

  test("refuses what is no input, by the name of the task", async () => {
    const call = async (
      task: string,
      folder: string,
      ...inputs: unknown[]
    ): Promise<(string | undefined)[]> => {
      const pipe = await anyPipeline(task, `${MODELS}/${folder}`, { tokenizer: LLAMA2 });
      const run = pipe as ((...args: unknown[]) => Promise<unknown>) & Disposable;
      const errors: PronkError[] = [];
      for (const input of inputs) errors.push(await refusal(run(input)));
      run[Symbol.dispose]();
      return errors.map(({ name, code, message }) =>
        name === "PronkError" && code === "bad_request" ? message : `${name}: ${message}`,
      );
    };
    const noList = "inputs: neither an input nor a list of them";
    const noChat = "text_inputs: neither a text nor a chat of one message or more";
    expect(await call("text-generation", "causal", 5, null, [7], [[]])).toEqual([
      `text-generation: ${noList}`,
      `text-generation: ${noList}`,
      `text-generation: ${noChat}`,
      `text-generation: ${noChat}`,
    ]);
    expect(await call("question-answering", "qa", undefined, "why?", [3])).toEqual([
      "question-answering: question: it is not a text",
      "question-answering: context: it is not a text",
      "question-answering: question: it is not a text",
    ]);
    expect(await call("feature-extraction", "causal", 5, [5])).toEqual([
      `feature-extraction: ${noList}`,
      "feature-extraction: inputs: not a text",
    ]);
    expect(await call("text-classification", "nli", undefined, [{ txt: "a" }])).toEqual([
      "text-classification: inputs: neither a text nor { text }",
      "text-classification: inputs: neither a text nor { text }",
    ]);
    expect(await call("ner", "ner", undefined)).toEqual(["At least one input is required."]);
  });

  test("prepares inputs as they are asked for, from whatever gives them", async () => {
    using pipe = await pipeline("feature-extraction", `${MODELS}/causal`, {
      tokenizer: LLAMA2,
      return_tensors: true,
    });
    let given = 0;
    async function* texts(): AsyncGenerator<string> {
      for (const text of ["one", "and two", "three"]) {
        given++;
        yield text;
      }
    }
    const outputs = pipe.iterate(texts(), {});
    const { value } = await outputs.next();
    expect(given).toBe(1);
    expect((value as Tensor).dims).toEqual([1, 2, 32]);
    let rest = 0;
    for await (const _ of outputs) rest++;
    expect([rest, given]).toEqual([2, 3]);
  });
});

describe("text-generation", () => {
  const options = { max_new_tokens: 40, do_sample: false } as const;

  test("streams while timers run, and ends when it is aborted", async () => {
    using pipe = await pipeline("text-generation", `${MODELS}/causal`, { tokenizer: LLAMA2 });
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const streamer = new TextIteratorStreamer(pipe.tokenizer, { skip_prompt: true });
    const done = pipe("Everyone has", { ...options, suppress_tokens: unnamed(pipe), streamer });
    let text = "";
    for await (const part of streamer) text += part;
    const [record] = await done;
    expect(record?.generated_text).toBe(`Everyone has${text}`);
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(0);

    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    const endless = { max_new_tokens: 240, eos_token_id: null, signal: controller.signal };
    const prompts = new Array<string>(100).fill("Everyone");
    const error = await refusal(pipe(prompts, endless));
    expect(error.code).toBe("aborted");
  });

  test("samples by default, the same for one seed", async () => {
    using pipe = await pipeline("text-generation", `${MODELS}/causal`, { tokenizer: LLAMA2 });
    const run = (seed: number): Promise<unknown> =>
      pipe("Everyone has", { max_new_tokens: 12, seed, return_tensors: true });
    expect(await run(7)).toEqual(await run(7));
    expect(await run(7)).not.toEqual(await run(8));
    const { max_new_tokens, do_sample, temperature } = pipe.generation_config;
    expect([max_new_tokens, do_sample, temperature]).toEqual([256, true, 0.7]);
  });

  test("texts end where the context does, unless a length is asked for", async () => {
    using pipe = await pipeline("text-generation", `${MODELS}/causal`, {
      tokenizer: LLAMA2,
      ctx: 32,
      eos_token_id: null,
    });
    const [tokens] = await pipe("Everyone has", { return_tensors: true });
    expect(tokens?.generated_token_ids.length).toBe(32);
    const error = await refusal(pipe("Everyone has", { max_new_tokens: 40 }));
    expect(error.code).toBe("context_overflow");
    pipe.model.generation_config.max_length = 4096;
    const other = await pipeline("text-generation", pipe.model, { tokenizer: pipe.tokenizer });
    expect(other.generation_config.max_new_tokens).toBeNull();
    const [same] = await other("Everyone has", { return_tensors: true, eos_token_id: null });
    expect(same?.generated_token_ids.length).toBe(32);
  });

  test("a batch gives what each prompt gives alone, an empty one included", async () => {
    using pipe = await pipeline("text-generation", `${MODELS}/causal`, { tokenizer: LLAMA3 });
    const call = { ...options, add_special_tokens: false };
    const prompts = ["Everyone has", "", "I"];
    const alone = await pipe(prompts, call);
    expect(await pipe(prompts, { ...call, batch_size: 3 })).toEqual(alone);
  });
});

describe("token-classification", () => {
  test("places are UTF-16 units: the text's own slices", async () => {
    using pipe = await pipeline("ner", `${MODELS}/ner`, { tokenizer: LLAMA3, ignore_labels: [] });
    const entities = await pipe(TEXT);
    const last = entities.at(-1);
    expect(last?.end).toBe(TEXT.length);
    const smile = TEXT.indexOf("😀");
    expect(entities.filter(({ start }) => start === smile).length).toBeGreaterThan(0);
    expect(
      await pipe.model.tagTokens(TEXT, { tokenizer: pipe.tokenizer, ignore_labels: [] }),
    ).toEqual(entities);
  });

  test("takes the caller's places, one list a text", async () => {
    using pipe = await pipeline("ner", `${MODELS}/ner`, { tokenizer: LLAMA2, ignore_labels: [] });
    const ids = pipe.tokenizer.encode("abc");
    const places = ids.map((_, i): [number, number] => [i * 10, i * 10 + 5]);
    const found = await pipe(["abc", "abc"], { offset_mapping: [places, places] });
    for (const entities of found) {
      expect(entities.map(({ index, start }) => start === (index ?? 0) * 10)).not.toContain(false);
    }
    await expect(pipe(["abc", "abc"], { offset_mapping: places })).rejects.toThrow(
      "offset_mapping should have the same batch size as the input",
    );
  });

  test("of LlamaTokenizer knows tokens, but no places and no words", async () => {
    using model = await AutoModelForTokenClassification.fromPretrained(`${MODELS}/ner`);
    const tokenizer = await AutoTokenizer.fromPretrained("tests/goldens/tokenizers/llama2_sp", {
      use_fast: false,
    });
    const fast = await AutoTokenizer.fromPretrained(LLAMA2);
    const slow = await pipeline("ner", model, { tokenizer, aggregation_strategy: "simple" });
    const entities = await slow("Anna lives");
    expect(entities.map(({ start, end }) => [start, end])).toEqual(
      entities.map(() => [null, null]),
    );
    const same = await pipeline("ner", model, { tokenizer: fast, aggregation_strategy: "simple" });
    const words = (list: typeof entities): unknown[] =>
      list.map(({ word, entity_group }) => [word, entity_group]);
    expect(words(entities)).toEqual(words(await same("Anna lives")));
    await expect(slow("Anna", { aggregation_strategy: "max" })).rejects.toThrow(
      "Slow tokenizers cannot handle subwords.",
    );
    await expect(slow("Anna", { stride: 2 })).rejects.toThrow("you're using a slow tokenizer");
    const words2 = slow(["a", "b"], { is_split_into_words: true });
    await expect(words2).rejects.toThrow("only supported with fast tokenizers");
  });
});

describe("question-answering", () => {
  const question = "Where does Anna live?";

  test("max_question_len cuts the question, and answer() is the pipeline's", async () => {
    using model = await AutoModelForQuestionAnswering.fromPretrained(`${MODELS}/qa`);
    const tokenizer = await AutoTokenizer.fromPretrained(LLAMA3);
    const pipe = await pipeline("question-answering", model, { tokenizer });
    const kept = tokenizer.decode(
      tokenizer.encode(question, { add_special_tokens: false }).slice(0, 3),
    );
    const cut = await pipe({ question, context: TEXT }, { max_question_len: 3 });
    expect(cut).toEqual(await pipe(kept, TEXT));
    expect(cut).not.toEqual(await pipe(question, TEXT));
    expect(await model.answer(kept, TEXT, { tokenizer })).toEqual(cut);
  });

  test("needs a tokenizer that knows places", async () => {
    using model = await AutoModelForQuestionAnswering.fromPretrained(`${MODELS}/qa`);
    const tokenizer = await AutoTokenizer.fromPretrained("tests/goldens/tokenizers/llama2_sp", {
      use_fast: false,
    });
    const error = await refusal(pipeline("question-answering", model, { tokenizer }));
    expect([error.code, error.param]).toEqual(["unsupported", "tokenizer"]);
  });
});

describe("zero-shot-classification", () => {
  test("says when no label is an entailment", async () => {
    const notes: string[] = [];
    using pipe = await pipeline("zero-shot-classification", `${MODELS}/single`, {
      tokenizer: LLAMA2,
      onNote: (note) => notes.push(note),
    });
    expect(pipe.notes[0]).toContain("Failed to determine 'entailment' label id");
    expect(notes).toContain(pipe.notes[0]);
    const found = await pipe(TEXT, ["one", "{two}"], { hypothesis_template: "{{0}} is {0}." });
    expect(found.labels.toSorted()).toEqual(["one", "{two}"]);
    await expect(pipe(TEXT)).rejects.toThrow("candidate_labels: there are none");
  });
});

test("a batch of a quantized model gives what each text gives alone, whatever its tokenizer pads with", async () => {
  using pipe = await pipeline("text-classification", `${MODELS}/nli`, {
    tokenizer: LLAMA3,
    quantization: "q8",
    top_k: null,
  });
  expect(pipe.tokenizer.pad_token_id).not.toBe(pipe.model.config.pad_token_id);
  const texts = [TEXT, "x", "Anna lives"];
  const together = await pipe(texts, { batch_size: 3 });
  expect(together).toEqual(await pipe(texts));
});

test("generate() lets others run before each of its batches, of a long prompt, too", async () => {
  using model = await AutoModelForCausalLM.fromPretrained(`${MODELS}/causal`);
  const input_ids = Array.from({ length: 240 }, (_, i) => 3 + i);
  let turns = 0;
  let isRunning = true;
  const turn = (): void => {
    turns++;
    if (isRunning) setImmediate(turn);
  };
  setImmediate(turn);
  await model.generate({ input_ids, max_new_tokens: 4, do_sample: false, eos_token_id: null });
  isRunning = false;
  // Two batches of the prompt, of which the second gives the first token, and one a token.
  expect(turns).toBeGreaterThanOrEqual(5);
});

test("classify() is the text-classification pipeline's", async () => {
  using model = await AutoModelForSequenceClassification.fromPretrained(`${MODELS}/nli`);
  const tokenizer = await AutoTokenizer.fromPretrained(LLAMA2);
  const pipe = await pipeline("text-classification", model, { tokenizer });
  expect(await model.classify(TEXT, { tokenizer, top_k: 2 })).toEqual(
    await pipe(TEXT, { top_k: 2 }),
  );
  expect((await model.classify(TEXT, { tokenizer }))[0]?.label).toBe("neutral");
});

/** Ids that the tokenizer has no token for: they have no text, so a streamer cannot decode them. */
function unnamed(pipe: { readonly tokenizer: { readonly length: number } }): number[] {
  return Array.from({ length: 1260 - pipe.tokenizer.length }, (_, i) => pipe.tokenizer.length + i);
}
