/**
 * Saves tokenizers as users do, and lets transformers itself load them:
 *
 *   npm run build && node scripts/saved-tokenizers.mjs
 *
 * Ids, text, chats and special tokens have to be the same for every golden string. Real vocabularies
 * are among them when scripts/real-tokenizers.mjs was there before. Needs Node, python3 with pip;
 * transformers is kept in .cache/saved-tokenizers.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  autoTokenizer,
  LlamaTokenizer,
  LlamaTokenizerFast,
  openDirectory,
  outputDirectory,
  tokenizerFromTiktoken,
} from "../dist/src/platform/node/index.js";

const FOLDER = resolve(".cache/saved-tokenizers");
const GOLDENS = "tests/goldens/tokenizers";
const REAL = ".cache/real-tokenizers";
const LIMIT_MS = 300_000;
/** Of the longest lists; the rest of the real texts says nothing new here. */
const TEXTS = 1000;

const TEMPLATE =
  "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] | trim }}{{ eos_token }}{% endfor %}";

const bytes = (path) => new Uint8Array(readFileSync(path));
const model = bytes(`${GOLDENS}/llama2_sp/tokenizer.model`);

/**
 * Everything that may be changed after loading. transformers drops `flags` of added tokens where it
 * makes a fast tokenizer of tokenizer.model.
 */
function change(tokenizer, flags = { single_word: true, lstrip: true }) {
  tokenizer.addSpecialTokens({
    pad_token: "<pad>",
    additional_special_tokens: ["<|tool|>", { content: "<|sep|>", rstrip: true }],
  });
  tokenizer.addTokens(["caf\u00e9", { content: "zzz", ...flags }]);
  tokenizer.padding_side = "left";
  tokenizer.truncation_side = "left";
  tokenizer.model_max_length = 512;
  tokenizer.chat_template = TEMPLATE;
  if ("add_eos_token" in tokenizer) tokenizer.add_eos_token = true;
  return tokenizer;
}

const slow = (legacy, more = {}) => new LlamaTokenizer({ vocab_file: model, legacy, ...more });
const fast = (legacy, more = {}) =>
  new LlamaTokenizerFast({ vocab_file: model, legacy, add_prefix_space: true, ...more });
const folder = (name) => autoTokenizer(openDirectory(`${GOLDENS}/${name}`));

/** Name, tokenizer, options of savePretrained, and whether transformers is to load the slow class. */
const cases = [
  ["slow-legacy", slow(true), {}, true],
  ["slow", slow(false), {}, true],
  ["slow-changed", change(slow(false)), {}, true],
  ["converted-legacy", fast(true), {}, false],
  ["converted", fast(false), {}, false],
  ["converted-without-prefix", fast(false, { add_prefix_space: false }), {}, false],
  ["json-only", fast(true), { legacy_format: false }, false],
  ["model-only", change(fast(false), {}), { legacy_format: true }, false],
  ["fast-changed", change(await folder("llama2_sp/fast_legacy")), {}, false],
  ["llama3", await folder("llama3_tiktoken/hf"), {}, false],
  ["llama3-changed", change(await folder("llama3_tiktoken/hf")), {}, false],
  [
    "tiktoken",
    tokenizerFromTiktoken(bytes(`${GOLDENS}/llama3_tiktoken/tokenizer.model`)),
    {},
    false,
  ],
];
const bosChanged = await folder("llama2_sp/fast");
bosChanged.bos_token = "</s>";
cases.push(["bos-changed", bosChanged, {}, false]);
if (existsSync(`${REAL}/llama3.model`)) {
  cases.push(["real-llama3", tokenizerFromTiktoken(bytes(`${REAL}/llama3.model`)), {}, false]);
  const real = new LlamaTokenizerFast({ tokenizer_file: bytes(`${REAL}/llama2/tokenizer.json`) });
  cases.push(["real-llama2", change(real), {}, false]);
}

const golden = JSON.parse(readFileSync(`${GOLDENS}/strings.json`, "utf8")).strings;
const mixed = existsSync(`${REAL}/texts.json`)
  ? JSON.parse(readFileSync(`${REAL}/texts.json`, "utf8")).slice(0, TEXTS)
  : [];
// What special and added tokens do to the texts around them.
const around = ["a<pad>b", "a <|sep|> b", " caf\u00e9zzz zzz", "<s> x </s>", "x<|tool|>\n"];
const texts = [...golden, ...around, ...mixed];
const messages = [
  { role: "user", content: " Hi! " },
  { role: "assistant", content: "na\u00efve" },
];

const python = join(FOLDER, "python");
mkdirSync(FOLDER, { recursive: true });
if (!existsSync(join(python, "transformers"))) {
  const packages = [
    "transformers==4.57.1",
    "sentencepiece==0.2.3",
    "protobuf==7.36.2",
    "jinja2==3.1.6",
  ];
  execFileSync("python3", ["-m", "pip", "install", "-q", "--target", python, ...packages], {
    timeout: LIMIT_MS,
    stdio: ["ignore", "ignore", "inherit"],
  });
}

const expected = {};
for (const [name, tokenizer, options, isSlow] of cases) {
  rmSync(join(FOLDER, name), { recursive: true, force: true });
  const files = await tokenizer.savePretrained(outputDirectory(join(FOLDER, name)), options);
  const rows = texts.map((text) => {
    const ids = tokenizer.encode(text);
    return {
      ids,
      pair: tokenizer.encode(text, { text_pair: "b c" }),
      text: tokenizer.decode(ids),
      plain: tokenizer.decode(ids, { skip_special_tokens: true }),
    };
  });
  const chat = tokenizer.chat_template
    ? tokenizer.applyChatTemplate(messages, { tokenize: false })
    : null;
  expected[name] = {
    isSlow,
    files,
    rows,
    chat,
    special: tokenizer.special_tokens_map,
    length: tokenizer.length,
    sides: [tokenizer.padding_side, tokenizer.truncation_side],
    limit: tokenizer.model_max_length,
  };
}
writeFileSync(join(FOLDER, "expected.json"), JSON.stringify({ texts, messages, expected }));
execFileSync("python3", [resolve("scripts/saved-tokenizers/check.py"), FOLDER], {
  timeout: LIMIT_MS,
  stdio: ["ignore", "inherit", "inherit"],
});
