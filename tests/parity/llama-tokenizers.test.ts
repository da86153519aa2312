/** LlamaTokenizer and LlamaTokenizerFast against transformers 4.57, every case of its outputs. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type CallOptions,
  cleanUpTokenization,
  toCodePointOffsets,
} from "../../src/llama/tokenizer/batch-encoding.ts";
import { DecodeStream } from "../../src/llama/tokenizer/decode-stream.ts";
import { LlamaTokenizer } from "../../src/llama/tokenizer/llama-tokenizer.ts";
import { LlamaTokenizerFast } from "../../src/llama/tokenizer/llama-tokenizer-fast.ts";
import {
  LLaMATokenizerConfig,
  loadFairseq2Tokenizer,
} from "../../src/llama/tokenizer/load-fairseq2-tokenizer.ts";
import { autoTokenizer, tokenizerFromGguf } from "../../src/llama/tokenizer/load-tokenizer.ts";
import type { PreTrainedTokenizerBase } from "../../src/llama/tokenizer/pretrained-tokenizer-base.ts";
import { PreTrainedTokenizerFast } from "../../src/llama/tokenizer/pretrained-tokenizer-fast.ts";
import type { FilesByName } from "../../src/llama/tokenizer/tokenizer-files.ts";
import type { ChatMessage } from "../../src/templates/chat-template.ts";
import { metadataOfFile } from "../unit/tokenizers/vocabularies.ts";

const FOLDER = "tests/goldens/tokenizers";
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(`${FOLDER}/${name}`));
// biome-ignore lint/suspicious/noExplicitAny: the shapes are those of the interfaces below
const json = (name: string): any => JSON.parse(readFileSync(`${FOLDER}/${name}`, "utf8"));
const { strings } = json("strings.json") as { strings: string[] };

interface GoldenCase {
  s: number;
  ids: number[];
  ids_no_special?: number[];
  offsets?: [number, number][];
  special_mask?: number[];
  decode?: string;
  decode_full?: string;
  decode_skip?: string;
  decode_raw?: string;
  stream?: (string | null)[];
  stream_skip?: (string | null)[];
  tokens?: string[];
}

interface GoldenPair extends Record<string, unknown> {
  a: string;
  b: string;
  ids: number[];
}

interface GoldenBatch {
  texts?: string[];
  pair?: [string, string];
  padding_side?: "left" | "right" | null;
  truncation_side?: "left" | "right";
  kwargs: CallOptions;
  ids: number[][] | number[];
  attention_mask?: number[][];
  overflow_to_sample_mapping?: number[];
}

interface GoldenChat {
  messages: ChatMessage[];
  add_generation_prompt: boolean;
  text: string | null;
  error: string | null;
  ids: number[] | null;
}

function testCases(cases: readonly GoldenCase[], tokenizerOf: () => PreTrainedTokenizerBase): void {
  test.each(cases)("text $s", (golden) => {
    const tokenizer = tokenizerOf();
    const text = strings[golden.s]!;
    const all = tokenizer.call(text, {
      return_special_tokens_mask: true,
      return_offsets_mapping: tokenizer.is_fast,
    });
    expect(all.input_ids).toEqual(golden.ids);
    expect(all.attention_mask).toEqual(golden.ids.map(() => 1));
    if (golden.offsets !== undefined) {
      expect(toCodePointOffsets(text, all.offset_mapping!)).toEqual(golden.offsets);
    }
    if (golden.special_mask !== undefined) {
      expect(all.special_tokens_mask).toEqual(golden.special_mask);
    }
    const plain = tokenizer.encode(text, { add_special_tokens: false });
    if (golden.ids_no_special !== undefined) expect(plain).toEqual(golden.ids_no_special);
    if (golden.tokens !== undefined) {
      expect(tokenizer.convertIdsToTokens(plain)).toEqual(golden.tokens);
      expect(tokenizer.tokenize(text)).toEqual(golden.tokens);
      expect(tokenizer.convertTokensToIds(golden.tokens)).toEqual(plain);
    }
    testDecoding(golden, tokenizer, plain);
  });
}

function testDecoding(
  golden: GoldenCase,
  tokenizer: PreTrainedTokenizerBase,
  plain: readonly number[],
): void {
  const { ids, decode, decode_full, decode_skip, decode_raw, stream, stream_skip } = golden;
  // `decode` is that of the ids without special tokens where there are such.
  if (decode !== undefined) expect(tokenizer.decode(plain)).toBe(decode);
  if (decode_full !== undefined) expect(tokenizer.decode(ids)).toBe(decode_full);
  if (decode_skip !== undefined) {
    expect(tokenizer.decode(ids, { skip_special_tokens: true })).toBe(decode_skip);
  }
  if (decode_raw !== undefined) {
    const raw = tokenizer.decode(plain, { clean_up_tokenization_spaces: false });
    expect(raw).toBe(decode_raw);
    expect(cleanUpTokenization(raw)).toBe(decode);
  }
  for (const [steps, skip_special_tokens] of [
    [stream, false],
    [stream_skip, true],
  ] as const) {
    if (steps === undefined) continue;
    const streamed = new DecodeStream({ skip_special_tokens });
    expect(plain.map((id) => streamed.step(tokenizer, id))).toEqual(steps);
  }
}

function testPairs(pairs: readonly GoldenPair[], tokenizerOf: () => PreTrainedTokenizerBase): void {
  test.each(pairs)("pair of $a and $b", (golden) => {
    const tokenizer = tokenizerOf();
    const pair = tokenizer.call(golden.a, {
      text_pair: golden.b,
      return_token_type_ids: true,
      return_special_tokens_mask: true,
    });
    expect(pair.input_ids).toEqual(golden.ids);
    expect(pair.token_type_ids).toEqual(golden.token_type_ids);
    expect(pair.special_tokens_mask).toEqual(golden.special_tokens_mask);
    const plain = { add_special_tokens: false };
    const a = tokenizer.encode(golden.a, plain);
    const b = tokenizer.encode(golden.b, plain);
    const made: Record<string, () => unknown> = {
      build_inputs_with_special_tokens: () => tokenizer.buildInputsWithSpecialTokens(a, b),
      build_inputs_single: () => tokenizer.buildInputsWithSpecialTokens(a),
      create_token_type_ids_from_sequences: () => tokenizer.createTokenTypeIdsFromSequences(a, b),
      create_token_type_ids_single: () => tokenizer.createTokenTypeIdsFromSequences(a),
      get_special_tokens_mask: () => tokenizer.getSpecialTokensMask(a, b),
      get_special_tokens_mask_single: () => tokenizer.getSpecialTokensMask(a),
      get_special_tokens_mask_already: () =>
        tokenizer.getSpecialTokensMask(golden.ids, undefined, true),
    };
    const compared = Object.keys(made).filter((name) => name in golden);
    expect(compared.length).toBeGreaterThan(4);
    for (const name of compared) expect(made[name]!(), name).toEqual(golden[name]);
  });
}

function testBatches(
  batches: readonly GoldenBatch[],
  tokenizerOf: () => PreTrainedTokenizerBase,
): void {
  test.each(batches.map((golden, i) => [i, golden] as const))("batch %d", (_, golden) => {
    const tokenizer = tokenizerOf();
    tokenizer.padding_side = golden.padding_side ?? "right";
    tokenizer.truncation_side = golden.truncation_side ?? "right";
    const { texts, pair, kwargs } = golden;
    if (pair !== undefined) {
      const row = tokenizer.call(pair[0], { ...kwargs, text_pair: pair[1] });
      expect(row.input_ids).toEqual(golden.ids);
      return;
    }
    const rows = tokenizer.call(texts!, kwargs);
    expect(rows.input_ids).toEqual(golden.ids);
    if (golden.attention_mask !== undefined) {
      expect(rows.attention_mask).toEqual(golden.attention_mask);
    }
    expect(rows.overflow_to_sample_mapping).toEqual(golden.overflow_to_sample_mapping);
  });
}

function testChats(
  chats: readonly GoldenChat[],
  template: string | undefined,
  tokenizerOf: () => PreTrainedTokenizerBase,
): void {
  test.each(chats.map((golden, i) => [i, golden] as const))("chat %d", (_, golden) => {
    const tokenizer = tokenizerOf();
    const options = {
      add_generation_prompt: golden.add_generation_prompt,
      ...(template === undefined ? {} : { chat_template: template }),
    };
    const render = (): string =>
      tokenizer.applyChatTemplate(golden.messages, { ...options, tokenize: false });
    if (golden.error !== null) {
      const message = golden.error.replace(/^TemplateError: /, "");
      expect(render).toThrow(expect.objectContaining({ code: "bad_request", message }));
      return;
    }
    expect(render()).toBe(golden.text);
    expect(tokenizer.applyChatTemplate(golden.messages, options)).toEqual(golden.ids);
  });
}

interface Variant {
  class: "LlamaTokenizer" | "LlamaTokenizerFast";
  kwargs: Record<string, unknown>;
  dir?: string;
  cases: GoldenCase[];
  pairs: GoldenPair[];
  batch: GoldenBatch[];
}

const filesOf = (folder: string): FilesByName =>
  Object.fromEntries(
    ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"].map((name) => [
      name,
      read(`${folder}/${name}`),
    ]),
  );

describe("Llama 2", () => {
  const golden = json("llama2_sp/golden.json");
  const model = read("llama2_sp/tokenizer.model");

  describe.each(Object.entries(golden.variants as Record<string, Variant>))(
    "%s",
    (_name, variant) => {
      const makes: [string, () => Promise<PreTrainedTokenizerBase>][] = [
        [
          "tokenizer.model",
          async () =>
            variant.class === "LlamaTokenizer"
              ? new LlamaTokenizer({ ...variant.kwargs, vocab_file: model })
              : new LlamaTokenizerFast({ ...variant.kwargs, vocab_file: model }),
        ],
      ];
      if (variant.dir !== undefined) {
        const files = filesOf(`llama2_sp/${variant.dir}`);
        makes.push(["its directory", () => LlamaTokenizerFast.fromPretrained(files)]);
      }
      describe.each(makes)("from %s", (_from, make) => {
        let tokenizer: PreTrainedTokenizerBase;
        beforeAll(async () => {
          tokenizer = await make();
          if (variant.batch.length > 0) tokenizer.pad_token = "<unk>";
        });
        testCases(variant.cases, () => tokenizer);
        testPairs(variant.pairs, () => tokenizer);
        if (variant.batch.length > 0) testBatches(variant.batch, () => tokenizer);
      });
    },
  );

  test("update_post_processor", () => {
    const tokenizer = new LlamaTokenizerFast({
      vocab_file: model,
      legacy: false,
      add_prefix_space: true,
    });
    const [first, withEos, withUnk, withoutBos] = golden.update_post_processor;
    const pair = { text_pair: "x" };
    const check = (step: { ids: number[]; pair?: number[] }): void => {
      expect(tokenizer.encode("Hello")).toEqual(step.ids);
      if (step.pair !== undefined) expect(tokenizer.encode("Hello", pair)).toEqual(step.pair);
    };
    check(first);
    tokenizer.add_eos_token = true;
    check(withEos);
    tokenizer.bos_token = "<unk>";
    tokenizer.updatePostProcessor();
    check(withUnk);
    tokenizer.add_bos_token = false;
    check(withoutBos);
  });

  test("add_pad", () => {
    const tokenizer = new LlamaTokenizerFast({
      vocab_file: model,
      legacy: false,
      add_prefix_space: true,
    });
    const { added, pad_token_id, len, padded, text_with_pad } = golden.add_pad;
    expect(tokenizer.addSpecialTokens({ pad_token: "<pad>" })).toBe(added);
    expect(tokenizer.pad_token_id).toBe(pad_token_id);
    expect(tokenizer.length).toBe(len);
    tokenizer.padding_side = "right";
    const rows = tokenizer.call(["Hello", "Hello world again"], { padding: true });
    expect(rows.input_ids).toEqual(padded);
    expect(tokenizer.encode("a<pad>b")).toEqual(text_with_pad);
  });

  describe.each([
    ["llama2", false],
    ["llama2_default_system", true],
  ] as const)("chats, %s", (name, use_default_system_prompt) => {
    const tokenizer = new LlamaTokenizerFast({
      vocab_file: model,
      legacy: false,
      add_prefix_space: true,
      use_default_system_prompt,
    });
    testChats(golden.chats[name], golden.chat_templates[name], () => tokenizer);
    describe("by the built-in template", () => {
      testChats(golden.chats[name], undefined, () => tokenizer);
    });
  });
});

describe("Llama 3", () => {
  const { hf, chats, chat_templates, tiktoken } = json("llama3_tiktoken/golden.json");
  let tokenizer: PreTrainedTokenizerFast;
  beforeAll(async () => {
    tokenizer = (await autoTokenizer(filesOf("llama3_tiktoken/hf"))) as PreTrainedTokenizerFast;
  });
  test("tiktoken, from its own file", async () => {
    const config = new LLaMATokenizerConfig({ impl: "tiktoken" });
    const own = await loadFairseq2Tokenizer(read("llama3_tiktoken/tokenizer.model"), config);
    const encode = own.createEncoder({ mode: "as_is" });
    for (const { s, ordinary, all_special, decode } of tiktoken) {
      expect(encode(strings[s]!)).toEqual(all_special);
      expect(own.createDecoder()(ordinary)).toBe(decode);
    }
  });
  test("the class is what the configuration names", () => {
    expect(tokenizer.constructor).toBe(PreTrainedTokenizerFast);
    expect(tokenizer.length).toBe(1256);
    expect(tokenizer.vocab_size).toBe(1000);
  });
  testCases(hf.cases, () => tokenizer);
  testPairs(hf.pairs, () => tokenizer);
  testBatches(hf.batch, () => tokenizer);
  describe.each(["fairseq2", "llama3_simple"])("chats, %s", (name) => {
    testChats(chats[name], chat_templates[name], () => tokenizer);
  });
});

const gguf = process.env.PRONK_TEST_MODEL;
describe.skipIf(!gguf)("SmolLM2 (needs PRONK_TEST_MODEL, the path of its GGUF file)", () => {
  const golden = json("smollm2.json");
  let tokenizer: PreTrainedTokenizerFast;
  beforeAll(async () => {
    tokenizer = tokenizerFromGguf(await metadataOfFile(gguf!));
  });
  testCases(golden.cases, () => tokenizer);
  testPairs(golden.pairs, () => tokenizer);
  testBatches(golden.batch, () => tokenizer);
  testChats(golden.chats, golden.chat_template, () => tokenizer);
});
