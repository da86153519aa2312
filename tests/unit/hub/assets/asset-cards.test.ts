import { describe, expect, test } from "vitest";
import { AssetStore } from "../../../../src/hub/assets/asset-store.ts";
import { BUILTIN_CARDS } from "../../../../src/hub/assets/builtin-cards.ts";
import { cardLocation } from "../../../../src/hub/assets/card-location.ts";
import { parseAssetCard, parseAssetCards } from "../../../../src/hub/assets/parse-asset-cards.ts";

/** The cards of the fairseq2 page, as they stand there. */
const PAGE = `
name: llama3
tokenizer: "/path/to/Llama-3.1-8B"  # HuggingFace tokenizer directory
tokenizer_family: llama
---
name: tiktoken_llama_instruct
tokenizer_config_override:
    impl: tiktoken
    use_eot: True  # For instruction models
tokenizer_family: llama
tokenizer: "/path/to/tokenizer.model"  # Tiktoken model file
---
name: sp_llama
tokenizer_config_override:
    impl: sp
tokenizer_family: llama
tokenizer: "/path/to/tokenizer.model"  # SentencePiece model file
`;

const store = (text: string, environment?: string, folder?: string): AssetStore =>
  new AssetStore(
    [BUILTIN_CARDS, { name: "mine", cards: parseAssetCards(text, { folder }) }],
    environment,
  );

test("the page's cards are read, with YAML 1.1's spelling of True", () => {
  const cards = parseAssetCards(PAGE);
  expect(cards.map(({ name }) => name)).toEqual(["llama3", "tiktoken_llama_instruct", "sp_llama"]);
  expect(cards[1].metadata).toEqual({
    tokenizer_config_override: { impl: "tiktoken", use_eot: true },
    tokenizer_family: "llama",
    tokenizer: "/path/to/tokenizer.model",
  });
  expect(cardLocation(cards[0], "tokenizer")).toBe("/path/to/Llama-3.1-8B");
});

test("JSON is a card as well", () => {
  const { name, metadata } = parseAssetCard('{"name": " a@ user ", "model_arch": "7b", "n": 1}');
  expect({ name, metadata }).toEqual({ name: "a@user", metadata: { model_arch: "7b", n: 1 } });
});

test("fields and overrides come down the chain of bases", () => {
  const cards = store(`
name: mine
base: llama3_instruct
model_arch: llama3_8b
tokenizer_config_override: {split_regex: "x+"}
---
name: deeper
base: mine
tokenizer_config_overrides: {use_eot: False, nested: {a: 1, b: 2}}
---
name: deepest
base: deeper
tokenizer_config_overrides: {_del_: [split_regex], nested: {b: 3}, _set_: {impl: {c: 4}}}
`);
  const card = cards.retrieveCard("deepest");
  expect(card.chain().map(({ name }) => name)).toEqual([
    "llama3",
    "llama3_instruct",
    "mine",
    "deeper",
    "deepest",
  ]);
  expect(card.field("model_arch")).toBe("llama3_8b");
  expect(card.field("url")).toBe("https://ai.meta.com/llama");
  const merge = (name: string) =>
    cards
      .retrieveCard(name)
      .mergeOverrides({ impl: "sp" }, ["tokenizer_config_overrides", "tokenizer_config_override"]);
  expect(merge("mine")).toEqual({ impl: "hg", use_eot: true, split_regex: "x+" });
  expect(merge("deepest")).toEqual({
    impl: { c: 4 },
    use_eot: false,
    nested: { a: 1, b: 3 },
  });
  expect(card.maybeGetField("constructor")).toBeUndefined();
});

describe("NAME@ENV", () => {
  const cards = (environment?: string) =>
    store(
      `
name: llama3_8b@user
checkpoint: /mine
---
name: llama3_8b@lab
checkpoint: /lab
---
name: llama2_7b@lab
checkpoint: /lab2
`,
      environment,
    );

  test.each([
    ["llama3_8b", undefined, "/mine"],
    ["llama3_8b", "lab", "/mine"],
    ["llama3_8b@lab", undefined, "/lab"],
    ["llama3_8b@", undefined, undefined],
    ["llama3_8b@other", undefined, undefined],
    ["llama2_7b", undefined, undefined],
    ["llama2_7b", " lab ", "/lab2"],
  ])("%s in %s has the checkpoint %s", (name, environment, checkpoint) => {
    const card = cards(environment).retrieveCard(name);
    expect(card.maybeGetField("checkpoint")).toBe(checkpoint);
    expect(card.name).toBe(name.split("@")[0]);
  });

  test("is no name of its own", () => {
    expect(cards().maybeRetrieveCard("unknown@user")).toBeUndefined();
    expect(
      cards()
        .findCards("checkpoint", "/mine")
        .map(({ name }) => name),
    ).toEqual(["llama3_8b"]);
  });
});

describe("a store refuses", () => {
  test.each([
    ["the name of a built-in card", "name: llama3", /llama3: in both the built-in cards and mine/],
    ["a name twice", "name: a\n---\nname: a", /twice in mine/],
  ])("%s", (_, text, message) => {
    expect(() => store(text)).toThrow(message);
  });

  test.each([
    ["an unknown card, naming near ones", "llama3_9b", "llama3_8b", "not_found"],
    ["a base that there is not", "orphan", "its base nobody does not exist", "not_found"],
    ["bases without end", "a", "bases without end: a > b > a", "bad_format"],
  ])("%s", (_, name, message, code) => {
    const cards = store("name: orphan\nbase: nobody\n---\nname: a\nbase: b\n---\nname: b\nbase: a");
    expect(() => cards.retrieveCard(name)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});

describe("a card's place", () => {
  const place = (fields: string, folder?: string): string =>
    cardLocation(parseAssetCard(`{name: c, ${fields}}`, { folder }), "checkpoint");

  test.each([
    ["checkpoint: /models/a", undefined, "/models/a"],
    ["checkpoint: 'file:///models/a%20b'", undefined, "/models/a b"],
    ["checkpoint: models/a", "/cards/", "/cards/models/a"],
    ["checkpoint: ./a.gguf", "/cards", "/cards/a.gguf"],
    ["checkpoint: 'hg://a/b'", undefined, "hf:a/b"],
    ["checkpoint: 'hf:a/b@v1:Q4_1'", undefined, "hf:a/b@v1:Q4_1"],
    ["checkpoint: 'https://host/a.gguf'", undefined, "https://host/a.gguf"],
    ["checkpoint: smollm2-135m-instruct", undefined, "smollm2-135m-instruct"],
    ["checkpoint: /a, checkpoint_path: sub/b", undefined, "/a/sub/b"],
    ["checkpoint: '/a/consolidated.{shard_idx:02d}.pth'", undefined, "/a"],
  ])("%s", (fields, folder, expected) => {
    expect(place(fields, folder)).toBe(expected);
  });

  test.each([
    ["checkpoint: a/b", /relative path/],
    ["checkpoint: 's3://a/b'", /s3:\/\/ cannot be read/],
    ["checkpoint: 'hg://../b'", /not of the form/],
    ["checkpoint: /a, checkpoint_path: ../b", /not inside/],
    ["checkpoint: 1", /1 is not a text/],
    ["checkpoint: 'https://ai.meta.com/llama/;gated=true'", /gated.*https:\/\/ai\.meta\.com/],
    ["url: 'https://x.y'", /downloads: https:\/\/x\.y\. Then add a card "name: c@user"/],
  ])("%s is refused with the reason", (fields, message) => {
    expect(() => place(fields)).toThrow(message);
  });
});
