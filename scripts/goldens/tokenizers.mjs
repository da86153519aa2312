/**
 * Reduces the golden data of tokenizers and chat templates to what the tests read.
 *
 *   node scripts/goldens/tokenizers.mjs GOLDENS_FOLDER
 *
 * The folder holds outputs of transformers, tokenizers, sentencepiece and tiktoken; the result is
 * tests/goldens/tokenizers. Offsets stay in code points, as Python counts them.
 */
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [from] = process.argv.slice(2);
if (from === undefined)
  throw new Error("usage: node scripts/goldens/tokenizers.mjs GOLDENS_FOLDER");
const to = "tests/goldens/tokenizers";
mkdirSync(to, { recursive: true });

const read = (name) => JSON.parse(readFileSync(join(from, name), "utf8"));

/** One case a line, so that a changed case is a changed line. */
function write(name, groups) {
  const parts = Object.entries(groups).map(([key, value]) => {
    if (!Array.isArray(value)) return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
    return `${JSON.stringify(key)}:[\n${value.map((v) => JSON.stringify(v)).join(",\n")}\n]`;
  });
  writeFileSync(join(to, name), `{\n${parts.join(",\n")}\n}\n`);
}

const pick = (object, keys) => Object.fromEntries(keys.map((key) => [key, object[key]]));
const CASE = [
  "s",
  "ids",
  "ids_no_special",
  "offsets",
  "special_mask",
  "decode",
  "decode_full",
  "decode_skip",
  "stream",
  "stream_skip",
];
const reduceCase = (golden) => ({
  ...pick(golden, CASE),
  // transformers cleans up spaces in Llama 3's decode(); the tokenizer itself does not.
  ...(golden.decode_raw === undefined ? {} : { decode_raw: golden.decode_raw }),
  ...(golden.tokens === undefined ? {} : { tokens: golden.tokens }),
});
const CHAT = ["messages", "add_generation_prompt", "text", "error", "ids"];

const strings = read("tokenizers/strings.json");
write("strings.json", { strings });

const smollm2 = read("tokenizers/smollm2.json");
write("smollm2.json", {
  chat_template: smollm2.chat_template,
  cases: smollm2.cases.map(reduceCase),
  chats: smollm2.chats.map((chat) => pick(chat, CHAT)),
  pairs: smollm2.pairs,
  batch: smollm2.batch,
  rendered: read("real/smollm2.json").chats.map((chat) =>
    pick(chat, ["messages", "rendered", "rendered_no_gen_prompt", "prompt_ids"]),
  ),
});

const llama2 = read("tokenizers/llama2_sp/golden.json");
write("llama2.json", {
  chat_template: llama2.chat_templates.llama2,
  cases: llama2.variants.fast_legacy.cases.map(reduceCase),
  sentencepiece: llama2.sentencepiece.map((golden) => pick(golden, ["s", "ids", "decode"])),
  chats: llama2.chats.llama2.map((chat) => pick(chat, CHAT)),
});

const llama3 = read("tokenizers/llama3_tiktoken/golden.json");
write("llama3.json", {
  chat_templates: llama3.chat_templates,
  cases: llama3.hf.cases.map(reduceCase),
  tiktoken: llama3.tiktoken.map((golden) => pick(golden, ["s", "ordinary", "all_special"])),
  fairseq2: llama3.chats.fairseq2.map((chat) => pick(chat, CHAT)),
  llama3_simple: llama3.chats.llama3_simple.map((chat) => pick(chat, CHAT)),
});

// The files that tokenizer classes read, with all that was asked of them.
for (const name of ["llama2_sp", "llama3_tiktoken"]) {
  cpSync(join(from, "tokenizers", name), join(to, name), { recursive: true });
}
mkdirSync("tests/goldens/fairseq2", { recursive: true });
copyFileSync(join(from, "fairseq2/tokenizers.json"), "tests/goldens/fairseq2/tokenizers.json");

for (const name of ["tok_sp.gguf", "tok_bpe.gguf"]) {
  copyFileSync(join(from, "gguf", name), join(to, name));
}
