/** getLlamaTokenizerHub and loadTokenizer: names through cards, files as they are given. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { AssetStore } from "../../../src/hub/assets/asset-store.ts";
import { parseAssetCards } from "../../../src/hub/assets/parse-asset-cards.ts";
import { LLaMATokenizerConfig } from "../../../src/llama/tokenizer/load-fairseq2-tokenizer.ts";
import { getLlamaTokenizerHub, loadTokenizer } from "../../../src/llama/tokenizer/tokenizer-hub.ts";
import { getLlamaTokenizerHub as getNodeHub } from "../../../src/platform/node/index.ts";

const MODEL = "tests/goldens/tokenizers/llama3_tiktoken/tokenizer.model";
const cards = parseAssetCards(`
name: tiktoken_llama_instruct
tokenizer_config_override:
    impl: tiktoken
    use_eot: True
tokenizer_family: llama
tokenizer: ${JSON.stringify(`${process.cwd()}/${MODEL}`)}
`);
const options = {
  store: () => Promise.resolve(new AssetStore([{ name: "test", cards }])),
  open: (location: string | URL) =>
    Promise.resolve(new Uint8Array(readFileSync(String(location).replace(/^file:\/\//, "")))),
};

test("a card's tokenizer is loaded with the card's settings", async () => {
  const tokenizer = await loadTokenizer("tiktoken_llama_instruct", options);
  expect(tokenizer.eosToken).toBe("<|eot_id|>");
  expect(tokenizer.createEncoder({ mode: "prompt" })("Hello")).toEqual([1000, 39, 348, 359]);
});

test("a file is loaded with the settings that are given", async () => {
  const hub = getLlamaTokenizerHub();
  const config = new LLaMATokenizerConfig({ impl: "tiktoken" });
  const file = new Uint8Array(readFileSync(MODEL));
  const tokenizer = await hub.loadCustomTokenizer(file, config);
  expect(tokenizer.eosToken).toBe("<|end_of_text|>");
  await expect(
    hub.loadCustomTokenizer(file, new LLaMATokenizerConfig({ impl: "sp" })),
  ).rejects.toMatchObject({ code: "bad_request" });
});

test("a path without something that opens it is refused", async () => {
  const hub = getLlamaTokenizerHub();
  await expect(
    hub.loadCustomTokenizer("x.model", new LLaMATokenizerConfig({ impl: "tiktoken" })),
  ).rejects.toMatchObject({ code: "bad_request" });
});

test("built-in names are known without a store", async () => {
  expect(await getLlamaTokenizerHub().listTokenizers()).toContain("llama3_2_1b");
});

test("on Node a path is enough, of a directory or of a file", async () => {
  const hub = getNodeHub();
  const directory = await hub.loadCustomTokenizer(
    "tests/goldens/tokenizers/llama3_tiktoken/hf",
    new LLaMATokenizerConfig(),
  );
  expect(directory.vocabInfo.size).toBe(1000);
  const file = await hub.loadCustomTokenizer(MODEL, new LLaMATokenizerConfig({ impl: "tiktoken" }));
  expect(file.vocabInfo.size).toBe(1256);
});
