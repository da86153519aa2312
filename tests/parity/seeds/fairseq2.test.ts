/** Every example of the page "fairseq2.models.llama", over small models under the names that it uses. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  getLlamaModelHub,
  getLlamaTokenizerHub,
  type HubOptions,
  LLaMAConfig,
  LLaMATokenizerConfig,
  loadTokenizer,
  parseAssetCard,
} from "../../../src/platform/node/index.ts";
import { TOKENIZERS, writeTinyLlama } from "../../support/seed-models.ts";

const GOLDEN = JSON.parse(await readFile(join(TOKENIZERS, "llama3_tiktoken/golden.json"), "utf8"));
const BOS = 1000;
const END_OF_TEXT = 1001;

/** The user's own folder of cards says where the gated files are, as fairseq2 has it. */
let root: string;
let options: HubOptions;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pronk-seeds-"));
  // Without a chat template, as the base model is: fairseq2 has its own.
  await writeTinyLlama(join(root, "Llama-3.2-1B"), "llama3");
  const cards = join(root, "cards");
  await mkdir(cards);
  const path = JSON.stringify(join(root, "Llama-3.2-1B"));
  const names = ["llama3_2_1b", "llama3_2_1b_instruct"];
  await writeFile(
    join(cards, "mine.yaml"),
    names
      .map((name) => `name: ${name}@user\ncheckpoint: ${path}\ntokenizer: ${path}\n`)
      .join("---\n"),
  );
  const env = {
    HOME: root,
    FAIRSEQ2_ASSET_DIR: join(root, "none"),
    FAIRSEQ2_USER_ASSET_DIR: cards,
  };
  options = { env: { ...env, PRONK_CACHE: root } };
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** What tiktoken itself gives for the llama3 vocabulary of the goldens. */
const TEXT = "Hello, world!";

test("Quick Start", async () => {
  const hub = getLlamaModelHub(options);
  const model = await hub.loadModel("llama3_2_1b", { ctx: 64, slots: 1 });
  const tokenizer = await getLlamaTokenizerHub(options).loadTokenizer("llama3_2_1b");

  const text = "The future of AI is";
  const encoder = tokenizer.createEncoder();
  const encoded = encoder(text);
  expect([encoded[0], encoded.at(-1)]).toEqual([BOS, END_OF_TEXT]);
  expect(tokenizer.createDecoder({ skip_special_tokens: true })(encoded)).toBe(text);

  // ... model inference code ...
  const prompt = tokenizer.createEncoder({ mode: "prompt" })(text);
  const greedy = { max_new_tokens: 4, do_sample: false, eos_token_id: null };
  const [ids] = await model.generate({ input_ids: [prompt], ...greedy });
  expect(ids.slice(0, prompt.length)).toEqual(prompt);
  expect(ids).toHaveLength(prompt.length + 4);
  model.dispose();
});

describe("Tokenizer", () => {
  test("HuggingFace Tokenizer (Default): asset card", async () => {
    const card = parseAssetCard(`
name: llama3
tokenizer: "${join(root, "Llama-3.2-1B")}"  # HuggingFace tokenizer directory
tokenizer_family: llama
`);
    // A card of the hub's own is called llama3 too, so this one is given as itself.
    const tokenizer = await getLlamaTokenizerHub(options).loadTokenizer(card);
    const hf = getLlamaTokenizerHub(options).loadTokenizer("llama3_2_1b");
    expect(tokenizer.createEncoder()(TEXT)).toEqual((await hf).createEncoder()(TEXT));
  });

  test("Tiktoken Implementation: asset card", async () => {
    const card = parseAssetCard(`
name: tiktoken_llama_instruct
tokenizer_config_override:
    impl: tiktoken
    use_eot: True  # For instruction models
tokenizer_family: llama
tokenizer: "${join(TOKENIZERS, "llama3_tiktoken/tokenizer.model")}"  # Tiktoken model file
`);
    const hub = getLlamaTokenizerHub({ ...options, cards: [card] });
    const tokenizer = await hub.loadTokenizer("tiktoken_llama_instruct");
    expect(tokenizer.eosToken).toBe("<|eot_id|>");
    const instruct = await loadTokenizer("llama3_2_1b_instruct", options);
    expect(tokenizer.createEncoder()(TEXT)).toEqual(instruct.createEncoder()(TEXT));
  });

  test("SentencePiece Implementation: asset card", async () => {
    const card = parseAssetCard(`
name: sp_llama
tokenizer_config_override:
    impl: sp
tokenizer_family: llama
tokenizer: "${join(TOKENIZERS, "llama2_sp/tokenizer.model")}"  # SentencePiece model file
`);
    const hub = getLlamaTokenizerHub({ ...options, cards: [card] });
    const tokenizer = await hub.loadTokenizer("sp_llama");
    const golden = JSON.parse(await readFile(join(TOKENIZERS, "llama2_sp/golden.json"), "utf8"));
    const { strings } = JSON.parse(await readFile(join(TOKENIZERS, "strings.json"), "utf8"));
    const { s, ids } = golden.sentencepiece.find(({ ids }: { ids: number[] }) => ids.length > 3);
    expect(tokenizer.createEncoder({ mode: "default" })(strings[s])).toEqual([1, ...ids, 2]);
  });

  test("Special Tokens: an instruct model's tokenizer ends with <|eot_id|>", async () => {
    const tokenizer = await loadTokenizer("llama3_2_1b_instruct", options);
    expect(tokenizer.eosToken).toBe("<|eot_id|>");
    expect((await loadTokenizer("llama3_2_1b", options)).eosToken).toBe("<|end_of_text|>");
    for (const name of [
      "begin_of_text",
      "end_of_text",
      "eot_id",
      "start_header_id",
      "end_header_id",
    ]) {
      const token = `<|${name}|>`;
      const encoder = tokenizer.createEncoder({ mode: "as_is" });
      expect(encoder(token), token).toEqual([tokenizer.specialTokens.get(token)]);
    }
  });

  test.each([
    ["llama3_2_1b", "<|end_of_text|>"],
    ["llama3_2_1b_instruct", "<|eot_id|>"],
  ])("Tokenizer Modes of %s", async (name, end) => {
    const tokenizer = await loadTokenizer(name, options);
    const bos = tokenizer.specialTokens.get("<|begin_of_text|>") as number;
    const eos = tokenizer.specialTokens.get(end) as number;
    const text = tokenizer.createEncoder({ mode: "as_is" })(TEXT);
    expect(text).not.toContain(bos);

    expect(tokenizer.createEncoder({ mode: "prompt" })(TEXT)).toEqual([bos, ...text]);
    expect(tokenizer.createEncoder({ mode: "prompt_response" })(TEXT)).toEqual([...text, eos]);
    expect(tokenizer.createEncoder({ mode: "default" })(TEXT)).toEqual([bos, ...text, eos]);
    expect(tokenizer.createEncoder()(TEXT)).toEqual([bos, ...text, eos]);
  });
});

test("Model Hub and Model Configuration: what the hub lists, and LLaMAConfig", async () => {
  const hub = getLlamaModelHub(options);
  expect(await hub.listModels()).toContain("llama3_2_1b");
  expect(await getLlamaTokenizerHub(options).listTokenizers()).toContain("llama3_2_1b_instruct");
  expect(await hub.getModelConfig("llama3_2_1b")).toEqual(LLaMAConfig.fromArch("llama3_2_1b"));
});

test("Tokenizer Configuration: LLaMATokenizerConfig and its defaults", () => {
  expect({ ...new LLaMATokenizerConfig() }).toEqual({
    impl: "hg",
    use_eot: false,
    split_regex: null,
  });
});

describe("Complete Examples", () => {
  test("Using HuggingFace Tokenizer", async () => {
    const tokenizer = await getLlamaTokenizerHub(options).loadTokenizer("llama3_2_1b");
    const defaultEncoder = tokenizer.createEncoder(); // Adds BOS and EOS
    const promptEncoder = tokenizer.createEncoder({ mode: "prompt" }); // Only BOS

    const text = "Hello, world!";
    const tokens = defaultEncoder(text);
    expect(tokens).toEqual([...promptEncoder(text), END_OF_TEXT]);
  });

  test("Using Tiktoken Implementation", async () => {
    const config = new LLaMATokenizerConfig({ impl: "tiktoken", use_eot: true });
    const hub = getLlamaTokenizerHub(options);
    const path = join(TOKENIZERS, "llama3_tiktoken/tokenizer.model");
    const tokenizer = await hub.loadCustomTokenizer(path, config);

    expect(tokenizer.eosToken).toBe("<|eot_id|>");
    const { strings } = JSON.parse(await readFile(join(TOKENIZERS, "strings.json"), "utf8"));
    const encode = tokenizer.createEncoder({ mode: "as_is" });
    for (const { s, all_special } of GOLDEN.tiktoken)
      expect(encode(strings[s])).toEqual(all_special);

    const own = { impl: "tiktoken", split_regex: "\\S" } as const;
    const letters = await hub.loadCustomTokenizer(path, new LLaMATokenizerConfig(own));
    expect(letters.createEncoder({ mode: "as_is" })("Hello")).toHaveLength(5);
  });
});

test("Chat Template Support", async () => {
  const tokenizer = await getLlamaTokenizerHub(options).loadTokenizer("llama3_2_1b");
  const messages = [
    { role: "system", content: "You are a helpful assistant." },
    { role: "user", content: "Tell me a joke." },
    { role: "assistant", content: "Why did the chicken cross the road?" },
  ] as const;

  const formattedText = tokenizer.applyChatTemplate(messages, {
    tokenize: false,
    add_generation_prompt: true,
  }) as string;
  const turn = (role: string, text: string): string =>
    `<|start_header_id|>${role}<|end_header_id|>\n\n${text}`;
  expect(formattedText).toBe(
    `<|begin_of_text|>${messages.map(({ role, content }) => `${turn(role, content)}<|eot_id|>`).join("")}${turn("assistant", "")}`,
  );

  const encoder = tokenizer.createEncoder();
  const tokens = encoder(formattedText);
  // As there, the default mode adds what the template has written; `as_is` does not.
  const asIs = tokenizer.createEncoder({ mode: "as_is" })(formattedText);
  expect(asIs[0]).toBe(BOS);
  expect(tokens).toEqual([BOS, ...asIs, END_OF_TEXT]);
});
