import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readGguf } from "../../../../src/formats/gguf/read-gguf.ts";
import { LlamaTokenizer } from "../../../../src/llama/tokenizer/llama-tokenizer.ts";
import { LlamaTokenizerFast } from "../../../../src/llama/tokenizer/llama-tokenizer-fast.ts";
import {
  autoTokenizer,
  tokenizerFromGguf,
  tokenizerFromTiktoken,
} from "../../../../src/llama/tokenizer/load-tokenizer.ts";
import type { PreTrainedTokenizerBase } from "../../../../src/llama/tokenizer/pretrained-tokenizer-base.ts";
import type { SavePretrainedOptions } from "../../../../src/llama/tokenizer/save-pretrained.ts";
import { memorySource } from "../../../../src/sources/memory.ts";

const goldens = new URL("../../../goldens/tokenizers/", import.meta.url);
const read = (path: string): Uint8Array => new Uint8Array(readFileSync(new URL(path, goldens)));
const model = read("llama2_sp/tokenizer.model");
const { strings }: { strings: string[] } = JSON.parse(
  new TextDecoder().decode(read("strings.json")),
);

const TEMPLATE =
  "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{{ eos_token }}{% endfor %}";

function folder(name: string): Record<string, Uint8Array> {
  return Object.fromEntries(
    readdirSync(new URL(`${name}/`, goldens)).map((file) => [file, read(`${name}/${file}`)]),
  );
}

async function save(tokenizer: PreTrainedTokenizerBase, options?: SavePretrainedOptions) {
  const files: Record<string, Uint8Array> = {};
  const names = await tokenizer.savePretrained((name, bytes) => {
    files[name] = bytes;
  }, options);
  expect(names).toEqual(Object.keys(files));
  return files;
}

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const parsed = (bytes: Uint8Array | undefined) => JSON.parse(text(bytes));

/** Everything that can be changed after loading. */
function change(tokenizer: PreTrainedTokenizerBase): void {
  tokenizer.addSpecialTokens({
    pad_token: "<pad>",
    additional_special_tokens: ["<|tool|>", { content: "<|sep|>", rstrip: true }],
  });
  tokenizer.addTokens(["caf\u00e9", { content: "zzz", single_word: true, lstrip: true }]);
  tokenizer.padding_side = "left";
  tokenizer.truncation_side = "left";
  tokenizer.model_max_length = 512;
  tokenizer.split_special_tokens = false;
  tokenizer.chat_template = TEMPLATE;
  if (tokenizer instanceof LlamaTokenizer || tokenizer instanceof LlamaTokenizerFast) {
    tokenizer.add_eos_token = true;
    tokenizer.bos_token = "<|tool|>";
  }
}

const TEXTS = [...strings, "a<pad>b", "a <|sep|> b", " caf\u00e9zzz zzz", "<s> x </s>"];

function behaviour(tokenizer: PreTrainedTokenizerBase): unknown {
  return {
    ids: TEXTS.map((input) => tokenizer.encode(input, { text_pair: "b", truncation: true })),
    texts: TEXTS.map((input) => {
      const ids = tokenizer.encode(input);
      return [tokenizer.decode(ids), tokenizer.decode(ids, { skip_special_tokens: true })];
    }),
    special: tokenizer.special_tokens_map,
    added: tokenizer.added_tokens_decoder,
    sizes: [tokenizer.length, tokenizer.vocab_size, tokenizer.model_max_length],
    sides: [tokenizer.padding_side, tokenizer.truncation_side],
    template: tokenizer.chat_template,
    pad: tokenizer.pad_token_id,
  };
}

function expectSame(found: PreTrainedTokenizerBase, expected: PreTrainedTokenizerBase): void {
  expect(behaviour(found)).toEqual(behaviour(expected));
}

describe("tokenizer.json is written byte for byte as `tokenizers` writes it", () => {
  test.each(["llama2_sp/fast", "llama2_sp/fast_legacy", "llama3_tiktoken/hf"])(
    "%s",
    async (name) => {
      const files = await save(await autoTokenizer(folder(name)));
      expect(text(files["tokenizer.json"])).toBe(text(read(`${name}/tokenizer.json`)));
    },
  );

  test.each([
    [true, "llama2_sp/fast_legacy"],
    [false, "llama2_sp/fast"],
  ])("from tokenizer.model with legacy %s, as transformers converts it", async (legacy, name) => {
    const tokenizer = new LlamaTokenizerFast({ vocab_file: model, legacy, add_prefix_space: true });
    const files = await save(tokenizer);
    expect(text(files["tokenizer.json"])).toBe(text(read(`${name}/tokenizer.json`)));
    expect(files["tokenizer.model"]).toEqual(model);
  });

  test("from a tiktoken file, as transformers converts it", async () => {
    const files = await save(tokenizerFromTiktoken(read("llama3_tiktoken/tokenizer.model")));
    expect(text(files["tokenizer.json"])).toBe(text(read("llama3_tiktoken/hf/tokenizer.json")));
  });
});

test.each(["llama2_sp/fast", "llama2_sp/fast_legacy"])(
  "the configuration of %s has the fields that transformers wrote",
  async (name) => {
    const given = folder(name);
    const files = await save(await autoTokenizer({ ...given, "tokenizer.model": model }));
    expect(parsed(files["special_tokens_map.json"])).toEqual(
      parsed(given["special_tokens_map.json"]),
    );
    const { pad_token: _, ...expected } = parsed(given["tokenizer_config.json"]);
    expect(parsed(files["tokenizer_config.json"])).toEqual(expected);
    expect(text(files["tokenizer_config.json"])).toContain("1000000000000000019884624838656");
  },
);

describe("what was changed after loading is there after saving and loading again", () => {
  const loads: readonly [
    string,
    () => PreTrainedTokenizerBase | Promise<PreTrainedTokenizerBase>,
    boolean,
  ][] = [
    [
      "LlamaTokenizer, legacy",
      () => new LlamaTokenizer({ vocab_file: model, legacy: true }),
      false,
    ],
    ["LlamaTokenizer", () => new LlamaTokenizer({ vocab_file: model, legacy: false }), false],
    [
      "LlamaTokenizerFast of tokenizer.model",
      () => new LlamaTokenizerFast({ vocab_file: model, legacy: false, add_prefix_space: true }),
      true,
    ],
    ["LlamaTokenizerFast of tokenizer.json", () => autoTokenizer(folder("llama2_sp/fast")), true],
    ["PreTrainedTokenizerFast", () => autoTokenizer(folder("llama3_tiktoken/hf")), true],
    [
      "PreTrainedTokenizerFast of a tiktoken file",
      () => autoTokenizer({ "tokenizer.model": read("llama3_tiktoken/tokenizer.model") }),
      true,
    ],
    [
      "PreTrainedTokenizerFast of a GGUF file",
      async () =>
        tokenizerFromGguf((await readGguf(memorySource(read("tok_sp.gguf"), "gguf"))).metadata),
      true,
    ],
  ];
  test.each(loads)("%s", async (_, load, use_fast) => {
    const tokenizer = await load();
    change(tokenizer);
    const files = await save(tokenizer);
    expectSame(await autoTokenizer(files, { use_fast }), tokenizer);
    expect(parsed(files["special_tokens_map.json"]).additional_special_tokens[1]).toMatchObject({
      content: "<|sep|>",
      rstrip: true,
    });
    if (files["tokenizer.model"]) {
      expect(parsed(files["added_tokens.json"])).toMatchObject({ "<pad>": 1000 });
    }
    // And what is saved again is the same.
    expect(await save(await autoTokenizer(files, { use_fast }))).toEqual(files);
  });
});

describe("options", () => {
  const fast = (): LlamaTokenizerFast =>
    new LlamaTokenizerFast({ vocab_file: model, add_prefix_space: true });

  test("legacy_format chooses between tokenizer.model and tokenizer.json", async () => {
    const small = ["tokenizer_config.json", "special_tokens_map.json"];
    const names = async (legacy_format: boolean) =>
      Object.keys(await save(fast(), { legacy_format }));
    expect(await names(true)).toEqual([...small, "tokenizer.model"]);
    expect(await names(false)).toEqual([...small, "tokenizer.json"]);
    const alone = await save(fast(), { legacy_format: false });
    // Elsewhere it would ask for a tokenizer.model that is not there.
    expect(parsed(alone["tokenizer_config.json"]).add_prefix_space).toBeNull();
    expectSame(await autoTokenizer(alone), fast());
  });

  test.each<[string, () => PreTrainedTokenizerBase | Promise<PreTrainedTokenizerBase>, boolean]>([
    [
      "LlamaTokenizer has no tokenizer.json",
      () => new LlamaTokenizer({ vocab_file: model }),
      false,
    ],
    [
      "tokenizer.json alone has no tokenizer.model",
      () => autoTokenizer(folder("llama2_sp/fast")),
      true,
    ],
    ["nor has PreTrainedTokenizerFast", () => autoTokenizer(folder("llama3_tiktoken/hf")), true],
  ])("%s", async (_, load, legacy_format) => {
    const tokenizer = await load();
    expect(() => tokenizer.savePretrained(() => {}, { legacy_format })).toThrow(
      expect.objectContaining({ code: "bad_request", param: "legacy_format" }),
    );
  });

  test("filename_prefix stands before every name", async () => {
    const tokenizer = fast();
    tokenizer.chat_template = TEMPLATE;
    tokenizer.addTokens("new");
    const names = Object.keys(await save(tokenizer, { filename_prefix: "my" }));
    expect(names).toEqual([
      "my-tokenizer_config.json",
      "my-special_tokens_map.json",
      "my-chat_template.jinja",
      "my-tokenizer.model",
      "my-tokenizer.json",
      "my-added_tokens.json",
    ]);
  });

  test("chat templates go into the configuration without save_jinja_files, and where there are several", async () => {
    const tokenizer = fast();
    tokenizer.chat_template = TEMPLATE;
    const one = await save(tokenizer, { save_jinja_files: false });
    expect(one["chat_template.jinja"]).toBeUndefined();
    expect(parsed(one["tokenizer_config.json"]).chat_template).toBe(TEMPLATE);
    tokenizer.chat_template = { default: TEMPLATE, tool_use: "tools" };
    const several = await save(tokenizer);
    expect(parsed(several["tokenizer_config.json"]).chat_template).toEqual([
      { name: "default", template: TEMPLATE },
      { name: "tool_use", template: "tools" },
    ]);
    expect((await autoTokenizer(several)).chat_template).toEqual(tokenizer.chat_template);
  });
});

test("an added token whose letters spell bytes decodes to these bytes, as in `tokenizers`", async () => {
  const tokenizer = await autoTokenizer(folder("llama3_tiktoken/hf"));
  tokenizer.addTokens(["caf\u00e9", "\u65e5\u672c"]);
  // Of tokenizers 0.22.1.
  expect(tokenizer.decode(tokenizer.encode("caf\u00e9", { add_special_tokens: false }))).toBe(
    "caf\ufffd",
  );
  expect(tokenizer.decode(tokenizer.encode("\u65e5\u672c", { add_special_tokens: false }))).toBe(
    "\u65e5\u672c",
  );
});
