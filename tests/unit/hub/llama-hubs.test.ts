import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { AssetStore } from "../../../src/hub/assets/asset-store.ts";
import { BUILTIN_CARDS } from "../../../src/hub/assets/builtin-cards.ts";
import { parseAssetCards } from "../../../src/hub/assets/parse-asset-cards.ts";
import { LlamaModelHub, type ModelToLoad } from "../../../src/hub/llama-model-hub.ts";
import { LlamaTokenizerHub, type TokenizerToLoad } from "../../../src/hub/llama-tokenizer-hub.ts";

type Fields = Record<string, unknown>;

interface Golden {
  readonly tokenizer_config_defaults: Fields;
  readonly defaults: Fields;
  readonly archs: Record<string, { config: Fields }>;
  readonly cards: {
    name: string;
    base: string | null;
    tokenizer_config_resolved: Fields;
    model_config_resolved: Fields;
    fields: Fields;
  }[];
}

const golden: Golden = JSON.parse(
  readFileSync(new URL("../../goldens/fairseq2/registry.json", import.meta.url), "utf8"),
);
const archs = Object.fromEntries(
  Object.entries(golden.archs).map(([name, { config }]) => [name, config]),
);
const configs = { archs, defaults: golden.defaults, parse: (data: Fields) => data };

/** Hubs whose loaders answer what they were asked for. */
function hubs(cards = "") {
  const store = async () =>
    new AssetStore([BUILTIN_CARDS, { name: "mine", cards: parseAssetCards(cards) }]);
  return {
    models: new LlamaModelHub({
      store,
      configs,
      load: async (wanted: ModelToLoad<Fields>, options: { signal?: AbortSignal }) => ({
        ...wanted,
        options,
      }),
    }),
    tokenizers: new LlamaTokenizerHub({
      store,
      load: async (wanted: TokenizerToLoad, _: object) => wanted,
    }),
  };
}

describe.each(golden.cards)("the card $name", (expected) => {
  const { models, tokenizers } = hubs();

  test("has fairseq2's base and fields", async () => {
    const card = await models.getCard(expected.name);
    expect(card.base?.name ?? null).toBe(expected.base);
    const { fields } = expected;
    for (const [field, value] of Object.entries(fields)) {
      expect(card.field(field), field).toEqual(value);
    }
    const isLlama = fields.model_family === "llama";
    expect((await models.listModels()).includes(expected.name)).toBe(isLlama);
    expect((await tokenizers.listTokenizers()).includes(expected.name)).toBe(isLlama);
  });

  test("resolves to fairseq2's tokenizer and model configuration", async () => {
    if (expected.fields.model_family !== "llama") {
      await expect(models.getModelConfig(expected.name)).rejects.toThrow("is llama4; runs: llama");
      await expect(tokenizers.loadTokenizer(expected.name)).rejects.toThrow("is llama4");
      return;
    }
    expect(await tokenizers.getTokenizerConfig(expected.name)).toEqual(
      expected.tokenizer_config_resolved,
    );
    expect(await models.getModelConfig(expected.name)).toMatchObject(
      expected.model_config_resolved,
    );
  });
});

test("architectures are fairseq2's, each a copy to change", () => {
  const { models } = hubs();
  expect([...models.getArchs()].sort()).toEqual(Object.keys(golden.archs).sort());
  const config = models.getArchConfig("llama3_2_1b");
  expect(config).toEqual(golden.archs.llama3_2_1b.config);
  config.num_layers = 1;
  expect(models.getArchConfig("llama3_2_1b").num_layers).toBe(16);
  expect(models.maybeGetArchConfig("toString")).toBeUndefined();
  expect(() => models.getArchConfig("8b")).toThrow(/8b: no llama architecture; there are 13b/);
});

describe("loadModel", () => {
  const cards = `
name: llama3_2_1b@user
checkpoint: /weights/1b
---
name: tuned
base: llama3_2_1b
model_config_overrides: {rope_theta: 1000, rope_scale: {factor: 2.5}}
---
name: other
model_family: gemma
`;

  test("asks the loader for the card's checkpoint as the card configures it", async () => {
    const { models } = hubs(cards);
    const signal = new AbortController().signal;
    const asked = await models.loadModel("llama3_2_1b", { signal });
    expect(asked).toMatchObject({ name: "llama3_2_1b", checkpoint: "/weights/1b", overridden: [] });
    expect(asked.config).toEqual(golden.archs.llama3_2_1b.config);
    expect(asked.options.signal).toBe(signal);
  });

  test("overrides merge into the architecture, and are told to the loader", async () => {
    const { config, overridden } = await hubs(cards).models.loadModel("tuned");
    expect(config).toMatchObject({
      rope_theta: 1000,
      num_layers: 16,
      rope_scale: { factor: 2.5, original_context_length: 8192 },
    });
    expect([...overridden].sort()).toEqual(["rope_scale", "rope_theta"]);
  });

  test("takes a configuration in place of the card's", async () => {
    const { models } = hubs(cards);
    const config = { ...models.getArchConfig("llama3_2_1b"), num_layers: 2 };
    const asked = await models.loadModel("llama3_2_1b", { config });
    expect(asked.config).toEqual(config);
    expect(asked.overridden).toEqual(["num_layers"]);
    const custom = await models.loadCustomModel("/a/b", config);
    expect(custom).toMatchObject({ name: "b", checkpoint: "/a/b", config, card: undefined });
  });

  test.each([
    ["llama3_2_1b_instruct", "not_found", /gated.*https:\/\/ai\.meta\.com\/llama.*@user/],
    ["llama5", "not_found", /llama5: no such asset card/],
    ["other", "unsupported", /model_family is gemma/],
  ])("%s is refused with the reason", async (name, code, message) => {
    await expect(hubs(cards).models.loadModel(name)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });
});

describe("loadTokenizer", () => {
  const cards = `
name: tiktoken_llama_instruct
tokenizer_config_override:
    impl: tiktoken
    use_eot: True
tokenizer_family: llama
tokenizer: "/path/to/tokenizer.model"
---
name: referring
tokenizer_ref: tiktoken_llama_instruct
---
name: circle
tokenizer_ref: circle
---
name: wrong
base: tiktoken_llama_instruct
tokenizer_config_overrides: {impl: bpe}
---
name: misspelt
base: tiktoken_llama_instruct
tokenizer_config_overrides: {useEot: True}
---
name: lost
tokenizer_ref: nobody
`;
  const tiktoken = { impl: "tiktoken", use_eot: true, split_regex: null };
  const files = "/path/to/tokenizer.model";

  test.each(["tiktoken_llama_instruct", "referring"])("%s", async (name) => {
    expect(await hubs(cards).tokenizers.loadTokenizer(name)).toEqual({
      name: "tiktoken_llama_instruct",
      files,
      hasImpl: true,
      config: tiktoken,
    });
  });

  test("a custom one takes fairseq2's defaults for what is not given", async () => {
    const { tokenizers } = hubs();
    const bytes = new Uint8Array(4);
    const custom = await tokenizers.loadCustomTokenizer(bytes, { impl: "hg" });
    expect(custom.files).toBe(bytes);
    expect(custom.config).toEqual({ ...golden.tokenizer_config_defaults, impl: "hg" });
  });

  test.each([
    ["circle", /tokenizer_ref without end/],
    ["lost", /tokenizer_ref nobody: no such asset card/],
    ["wrong", /impl: "bpe" is not one of hg, tiktoken, sp/],
    ["misspelt", /no field useEot; there are impl,use_eot,split_regex/],
    ["llama3_8b", /names no tokenizer: the files are gated/],
  ])("%s is refused with the reason", async (name, message) => {
    await expect(hubs(cards).tokenizers.loadTokenizer(name)).rejects.toThrow(message);
  });
});

test("a store that could not be read is read again", async () => {
  let broken = true;
  const hub = new LlamaTokenizerHub({
    store: async () => {
      if (broken) throw new Error("broken card");
      return new AssetStore([BUILTIN_CARDS]);
    },
    load: async (wanted: TokenizerToLoad, _: object) => wanted,
  });
  await expect(hub.listTokenizers()).rejects.toThrow("broken card");
  broken = false;
  expect(await hub.listTokenizers()).toContain("llama3");
});
