/** Pipelines against transformers' outputs, over tiny models and real kinds of tokenizers. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileKernels } from "../../src/backends/wasm/kernel-variants.ts";
import { openHfDirectory } from "../../src/checkpoints/hf-directory.ts";
import { LlamaConfig } from "../../src/llama/llama-config.ts";
import type { HeadKind } from "../../src/llama/modeling/heads.ts";
import { LlamaForCausalLM } from "../../src/llama/modeling/llama-for-causal-lm.ts";
import { LlamaForQuestionAnswering } from "../../src/llama/modeling/llama-for-question-answering.ts";
import { LlamaForSequenceClassification } from "../../src/llama/modeling/llama-for-sequence-classification.ts";
import { LlamaForTokenClassification } from "../../src/llama/modeling/llama-for-token-classification.ts";
import { LlamaModel } from "../../src/llama/modeling/llama-model.ts";
import { loadParts } from "../../src/llama/modeling/load-parts.ts";
import type { ModelParts } from "../../src/llama/modeling/runnable-model.ts";
import { bindPipeline } from "../../src/llama/pipelines/pipeline.ts";
import type { PipelineTaskName } from "../../src/llama/pipelines/tasks.ts";
import { autoTokenizer } from "../../src/llama/tokenizer/load-tokenizer.ts";
import type { PreTrainedTokenizerBase } from "../../src/llama/tokenizer/pretrained-tokenizer-base.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";

interface GoldenCase {
  readonly name: string;
  readonly task: PipelineTaskName;
  readonly model: string;
  readonly tokenizer: "llama2" | "llama3";
  readonly tokenizer_settings: Readonly<Record<string, unknown>>;
  readonly config: Readonly<Record<string, unknown>>;
  readonly generation_config?: Readonly<Record<string, unknown>>;
  readonly init: Readonly<Record<string, unknown>>;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly output?: unknown;
  /** Fields of the pipeline's generation_config. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  readonly error?: string;
}

const cases: GoldenCase[] = JSON.parse(readFileSync("tests/goldens/pipelines/cases.json", "utf8"));
const TOKENIZERS = { llama2: "llama2_sp/fast", llama3: "llama3_tiktoken/hf" } as const;
const HEADS: Readonly<Record<string, HeadKind>> = {
  causal: "causal-lm",
  nli: "sequence-classification",
  single: "sequence-classification",
  ner: "token-classification",
  qa: "question-answering",
};
const CLASSES = {
  none: LlamaModel,
  "causal-lm": LlamaForCausalLM,
  "sequence-classification": LlamaForSequenceClassification,
  "token-classification": LlamaForTokenClassification,
  "question-answering": LlamaForQuestionAnswering,
} as const;

/** Where transformers says it in Python's words, or says less. */
const ERRORS: Readonly<Record<string, string>> = {
  "KeyError: 'TANH'": "function_to_apply: tanh is none of default, sigmoid, softmax, none",
  "AggregationStrategy.NONE": '`aggregation_strategy="none"`',
  "(got 0": "max_answer_len parameter should be >= 1 (got 0)",
  "`pipe.tokenizer.pad_token_id": "Pipeline with tokenizer without pad_token cannot do batching",
};

const read = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(`wasm/dist/${name}.wasm`));
const runtime = {
  kernels: await compileKernels({ plain: read("plain"), relaxed: read("relaxed") }),
  now: (): number => performance.now(),
};

/** Only pipelines of models that are there. */
const pipeline = bindPipeline({} as Parameters<typeof bindPipeline>[0], async () => {});

async function tokenizerOf({
  tokenizer,
  tokenizer_settings,
}: GoldenCase): Promise<PreTrainedTokenizerBase> {
  const path = `tests/goldens/tokenizers/${TOKENIZERS[tokenizer]}`;
  const loaded = await autoTokenizer(directoryFolder(nodeHost, path));
  Object.assign(loaded, { model_input_names: ["input_ids", "attention_mask"] });
  return Object.assign(loaded, tokenizer_settings);
}

/** Numbers of code points become UTF-16 units; numbers within the tolerance become equal. */
function expectLike(found: unknown, expected: unknown, text: string | undefined, path = ""): void {
  if (typeof expected === "number") {
    const isPlace = /\.(start|end)$/.test(path) && text !== undefined;
    const value = isPlace ? [...text].slice(0, expected).join("").length : expected;
    const difference = Math.abs((found as number) - value);
    const isExact = isPlace || path.includes("token_ids");
    if (difference <= (isExact ? 0 : 2e-4 + 1e-4 * Math.abs(value))) return;
    throw new Error(`${path}: ${found}, expected ${value}`);
  }
  if (Array.isArray(expected)) {
    const list = Array.from(found as ArrayLike<unknown>);
    expect(list.length, `${path}: ${JSON.stringify(list).slice(0, 300)}`).toBe(expected.length);
    expected.forEach((one, i) => {
      expectLike(list[i], one, text, `${path}[${i}]`);
    });
    return;
  }
  if (typeof expected === "object" && expected !== null) {
    expect(Object.keys(found as object).sort(), path).toEqual(Object.keys(expected).sort());
    for (const [key, value] of Object.entries(expected)) {
      expectLike((found as Record<string, unknown>)[key], value, text, `${path}.${key}`);
    }
    return;
  }
  expect(found, path).toBe(expected);
}

/** What the places of each result are of. */
function textsOf({ task, args, kwargs }: GoldenCase): string[] {
  const [first, second] = args;
  if (task === "question-answering") {
    if (typeof first === "string") return [second as string];
    return [first].flat().flatMap((one) => {
      const { question, context } = one as { question: unknown; context: string | string[] };
      return [question].flat().map((_, i) => [context].flat()[i] ?? (context as string));
    });
  }
  const between = (kwargs.delimiter as string | undefined) ?? " ";
  if (kwargs.is_split_into_words !== true) return [first].flat() as string[];
  const lists = (first as unknown[]).every(Array.isArray) ? (first as string[][]) : [first];
  return (lists as string[][]).map((words) => words.join(between));
}

/** As transformers has them: several rows' scores in one list. */
function asThere(output: unknown): unknown {
  if (Array.isArray(output)) return output.map(asThere);
  if (typeof output !== "object" || output === null) return output;
  const { dims, data } = output as { dims?: number[]; data?: Float32Array };
  if (dims && data) {
    const [, length, width] = dims as [number, number, number];
    return [Array.from({ length }, (_, i) => Array.from(data.slice(i * width, (i + 1) * width)))];
  }
  const { sequences_scores, beam_indices, ...rest } = output as Record<string, unknown>;
  return {
    ...rest,
    ...(sequences_scores !== undefined && { sequences_scores: [sequences_scores] }),
    ...(beam_indices !== undefined && { beam_indices: [beam_indices] }),
  };
}

describe.each(["wasm", "reference"] as const)("pipelines on %s", (backend) => {
  const parts = new Map<string, ModelParts>();
  beforeAll(async () => {
    for (const [name, head] of [...Object.entries(HEADS), ["states", "none"] as const]) {
      const folder = name === "states" ? "causal" : name;
      const path = `tests/goldens/pipelines/${folder}`;
      const checkpoint = await openHfDirectory(directoryFolder(nodeHost, path));
      const options = { backend, slots: 6, ctx: 128 };
      parts.set(name, await loadParts({ checkpoint }, head, runtime, options));
    }
  });
  afterAll(() => {
    for (const { runner } of parts.values()) runner.dispose();
  });

  const modelOf = ({ task, model, config, generation_config }: GoldenCase): object => {
    const own = parts.get(task === "feature-extraction" ? "states" : model) as ModelParts;
    const fields = { ...own.config.toJSON(), ...config };
    const generationConfig = { ...own.generationConfig, ...generation_config };
    const Class = CLASSES[own.head] as new (parts: ModelParts) => object;
    return new Class({ ...own, config: new LlamaConfig(fields), generationConfig });
  };

  const run = async (golden: GoldenCase): Promise<[unknown, { generation_config?: object }]> => {
    const tokenizer = await tokenizerOf(golden);
    const make = pipeline as (...args: unknown[]) => Promise<unknown>;
    const options = { ...golden.init, tokenizer, onNote: () => {} };
    const pipe = await make(golden.task, modelOf(golden), options);
    const call = pipe as (...args: unknown[]) => Promise<unknown>;
    return [await call(...golden.args, golden.kwargs), pipe as object];
  };

  test.each(cases.filter(({ output }) => output !== undefined))("$name", async (golden) => {
    const [found, { generation_config }] = await run(golden);
    for (const [name, value] of Object.entries(golden.defaults ?? {})) {
      expect((generation_config as Record<string, unknown>)[name], name).toEqual(value);
    }
    const { task, output } = golden;
    if (task === "feature-extraction" && golden.kwargs.batch_size !== undefined) {
      // Padding is cut off here.
      const [rows] = [asThere(found) as number[][][][]];
      const cut = (output as number[][][][]).map(([row], i) => [row.slice(0, rows[i][0].length)]);
      expectLike(rows, cut, undefined);
      return;
    }
    const texts = textsOf(golden);
    const hasPlaces = task === "question-answering" || /^(ner|token-)/.test(task);
    if (!hasPlaces) return expectLike(asThere(found), output, undefined);
    const isList = Array.isArray(golden.args[0]) || texts.length > 1;
    if (isList && Array.isArray(output) && output.length === texts.length && texts.length > 1) {
      expect((found as unknown[]).length).toBe(texts.length);
      texts.forEach((text, i) => {
        expectLike((found as unknown[])[i], output[i], text, `[${i}]`);
      });
      return;
    }
    expectLike(found, output, texts[0]);
  });

  test.each(cases.filter(({ error }) => error !== undefined))("refused: $name", async (golden) => {
    const message = String(golden.error).replace(/^\w+: /, "");
    const known = Object.entries(ERRORS).find(([part]) => golden.error?.includes(part));
    const expected = known && !message.includes("top_k") ? known[1] : message;
    await expect(run(golden)).rejects.toThrow(expected);
  });
});
