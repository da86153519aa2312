/** Options, attributes and methods that users of transformers and fairseq2 know, one by one. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { LlamaTokenizer } from "../../../../src/llama/tokenizer/llama-tokenizer.ts";
import { LlamaTokenizerFast } from "../../../../src/llama/tokenizer/llama-tokenizer-fast.ts";
import {
  LLaMATokenizerConfig,
  loadFairseq2Tokenizer,
} from "../../../../src/llama/tokenizer/load-fairseq2-tokenizer.ts";
import { autoTokenizer } from "../../../../src/llama/tokenizer/load-tokenizer.ts";

const goldens = new URL("../../../goldens/tokenizers/", import.meta.url);
const read = (path: string): Uint8Array => new Uint8Array(readFileSync(new URL(path, goldens)));
const folder = (name: string): Record<string, Uint8Array> =>
  Object.fromEntries(
    readdirSync(new URL(`${name}/`, goldens)).map((file) => [file, read(`${name}/${file}`)]),
  );
const vocab_file = read("llama2_sp/tokenizer.model");
const fast = (more = {}) => new LlamaTokenizerFast({ vocab_file, add_prefix_space: true, ...more });
const slow = (more = {}) => new LlamaTokenizer({ vocab_file, ...more });

const MESSAGES = [{ role: "user", content: "Hi" }];

describe("a text that begins with BOS and gets another", () => {
  const cases: [string, () => LlamaTokenizer | LlamaTokenizerFast][] = [
    ["LlamaTokenizerFast", fast],
    ["LlamaTokenizer", slow],
  ];
  test.each(cases)("%s says so once, with the ids that were asked for", (_, make) => {
    const heard: string[] = [];
    const tokenizer = make();
    tokenizer.onWarning = (warning) => heard.push(warning);
    expect(tokenizer.encode("<s>Hi").slice(0, 2)).toEqual([1, 1]);
    tokenizer.call(["<s>a", "<s>b"]);
    tokenizer.encode("<s>c", { text_pair: "d" });
    expect(heard).toEqual([
      "tokenizer: the text begins with <s>, and encoding puts another in front of it; after a chat template encode with add_special_tokens: false",
    ]);
    expect(tokenizer.warnings).toEqual(heard);
  });

  test.each(cases)("%s is quiet where there is nothing to say", (_, make) => {
    const tokenizer = make();
    tokenizer.encode("Hi");
    tokenizer.encode("");
    tokenizer.encode("<s>Hi", { add_special_tokens: false });
    tokenizer.encode("x<s>");
    tokenizer.applyChatTemplate(MESSAGES);
    tokenizer.add_bos_token = false;
    tokenizer.encode("<s><s>", { add_special_tokens: false });
    tokenizer.encode("<s>Hi");
    expect(tokenizer.warnings).toEqual([]);
  });

  test("PreTrainedTokenizerFast says it, too; the option is told", async () => {
    const heard: string[] = [];
    const files = folder("llama3_tiktoken/hf");
    const tokenizer = await autoTokenizer(files, { onWarning: (warning) => heard.push(warning) });
    tokenizer.encode("<|begin_of_text|>Hi");
    expect(heard).toEqual([expect.stringContaining("<|begin_of_text|>")]);
  });

  test.each(["hg", "tiktoken", "sp"] as const)("fairseq2's %s", async (impl) => {
    const bos = impl === "sp" ? "<s>" : "<|begin_of_text|>";
    const files = {
      hg: folder("llama3_tiktoken/hf"),
      tiktoken: read("llama3_tiktoken/tokenizer.model"),
      sp: vocab_file,
    }[impl];
    const tokenizer = await loadFairseq2Tokenizer(files, new LLaMATokenizerConfig({ impl }));
    const modes = impl === "sp" ? ["prompt_response"] : ["prompt_response", "as_is"];
    for (const mode of modes) tokenizer.createEncoder({ mode })(`${bos}Hi`);
    tokenizer.createRawEncoder()(`${bos}Hi`);
    tokenizer.createEncoder()("Hi");
    expect(tokenizer.warnings).toEqual([]);
    const encode = tokenizer.createEncoder();
    expect(encode(`${bos}Hi`)[0]).toBe(tokenizer.bosTokenId);
    tokenizer.createEncoder({ mode: "prompt" })(`${bos}again`);
    expect(tokenizer.warnings).toHaveLength(1);
    expect(tokenizer.warnings[0]).toContain(impl === "sp" ? "createRawEncoder" : "as_is");
  });
});

describe("special tokens by role", () => {
  test("every role can be given and taken, by text and by id", () => {
    const tokenizer = fast();
    for (const role of ["sep_token", "cls_token", "mask_token", "pad_token"] as const) {
      expect([tokenizer[role], tokenizer[`${role}_id`]]).toEqual([null, null]);
      tokenizer[role] = "</s>";
      expect(tokenizer[`${role}_id`]).toBe(2);
      tokenizer[`${role}_id`] = 0;
      expect(tokenizer[role]).toBe("<unk>");
      tokenizer[`${role}_id`] = null;
      expect(tokenizer[role]).toBeNull();
    }
    tokenizer.bos_token_id = 2;
    expect(tokenizer.encode("a")[0]).toBe(2);
    tokenizer.eos_token_id = 1;
    tokenizer.unk_token_id = 2;
    expect([tokenizer.eos_token, tokenizer.unk_token]).toEqual(["<s>", "</s>"]);
    expect(() => {
      tokenizer.pad_token_id = 5000;
    }).toThrow(expect.objectContaining({ code: "bad_request", param: "pad_token_id" }));
  });

  test("additional ones can be set, and have ids", () => {
    const tokenizer = slow();
    tokenizer.addSpecialTokens({ additional_special_tokens: ["<a>"] });
    tokenizer.additional_special_tokens = ["<a>", "</s>"];
    expect(tokenizer.additional_special_tokens_ids).toEqual([1000, 2]);
  });
});

describe("methods and attributes", () => {
  test("encode with return_tensors gives a batch of one", () => {
    const ids = fast().encode("Hello");
    const tensor = fast().encode("Hello", { return_tensors: "pt" });
    expect(tensor).toEqual({ data: Int32Array.from(ids), shape: [1, ids.length] });
  });

  test("pad with return_tensors gives tensors", () => {
    const tokenizer = fast({ pad_token: "</s>", padding_side: "right" });
    const rows = { input_ids: [[5, 6, 7], [8]] };
    const { input_ids, attention_mask } = tokenizer.pad(rows, { return_tensors: "np" });
    expect(input_ids).toEqual({ data: Int32Array.of(5, 6, 7, 8, 2, 2), shape: [2, 3] });
    expect([...attention_mask!.data]).toEqual([1, 1, 1, 1, 0, 0]);
  });

  test("the vocabulary by spelling, added tokens by spelling", () => {
    const tokenizer = fast();
    tokenizer.addTokens("new");
    expect(tokenizer.vocab.size).toBe(1001);
    expect(tokenizer.vocab.get("new")).toBe(1000);
    expect(tokenizer.added_tokens_encoder).toEqual({ "<unk>": 0, "<s>": 1, "</s>": 2, new: 1000 });
  });

  test("how much of a text fits beside special tokens", () => {
    const tokenizer = fast({ model_max_length: 100, add_eos_token: true });
    expect([tokenizer.max_len_single_sentence, tokenizer.max_len_sentences_pair]).toEqual([98, 96]);
  });

  test("getChatTemplate gives the template that a chat takes", () => {
    const tokenizer = fast({ chat_template: { default: "d", tool_use: "t" } });
    expect(tokenizer.getChatTemplate()).toBe("d");
    expect(tokenizer.getChatTemplate(undefined, [{}])).toBe("t");
    expect(tokenizer.getChatTemplate("tool_use")).toBe("t");
    expect(tokenizer.getChatTemplate("{{ 1 }}")).toBe("{{ 1 }}");
    tokenizer.chat_template = { other: "o" };
    expect(() => tokenizer.getChatTemplate()).toThrow(
      expect.objectContaining({ code: "bad_request" }),
    );
  });

  test("several chats at once give one each", () => {
    const tokenizer = fast({ pad_token: "</s>" });
    const chats = [MESSAGES, [...MESSAGES, { role: "assistant", content: "Hello" }]];
    const texts = tokenizer.applyChatTemplate(chats, { tokenize: false });
    expect(texts).toEqual(
      chats.map((chat) => tokenizer.applyChatTemplate(chat, { tokenize: false })),
    );
    expect(tokenizer.applyChatTemplate(chats)).toEqual(
      chats.map((chat) => tokenizer.applyChatTemplate(chat)),
    );
    const batch = tokenizer.applyChatTemplate(chats, { return_dict: true, padding: true });
    expect(batch.attention_mask!.map((mask) => mask.length)).toEqual(
      Array(2).fill(batch.input_ids[1]!.length),
    );
  });
});
