/** GGUF files that we write, loaded by llama.cpp itself: the same tokens come out. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { saveHfDirectory } from "../../src/checkpoints/save-hf.ts";
import { saveMetaDirectory } from "../../src/checkpoints/save-meta.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { openGguf } from "../../src/engine/open-gguf.ts";
import {
  LLaMATokenizerConfig,
  loadFairseq2Tokenizer,
} from "../../src/llama/tokenizer/load-fairseq2-tokenizer.ts";
import { planLlama } from "../../src/model/plan.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { outputFolder } from "../../src/platform/host/output-folder.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { reference } from "../conformance/backends.ts";
import { randomCheckpoint } from "../support/random-checkpoint.ts";

const VERSION = "3.22.1";
const root = packageRoot();
const main = join(root, "dist", "src", "cli", "main.js");
const out = mkdtempSync(join(tmpdir(), "pronk-llama-cpp-"));
afterAll(() => rmSync(out, { recursive: true, force: true }));

/** Its prebuilt libraries are for one system each; the tests run where .ci/run does. */
const isSupported = process.platform === "linux" && process.arch === "x64";

let module = "";
beforeAll(async () => {
  if (!isSupported) return;
  const { installPeer } = await import(
    pathToFileURL(join(root, "scripts", "bench", "install-peer.mjs")).href
  );
  const folder = installPeer(root, "node-llama-cpp", {
    "node-llama-cpp": VERSION,
    "@node-llama-cpp/linux-x64": VERSION,
  });
  module = join(folder, "node_modules", "node-llama-cpp", "dist", "index.js");
});

const SIZES = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
};

const PROMPT = [1, 300, 77, 412, 5, 640, 218];
const COUNT = 24;

/** Where the two best logits are nearer, the order of f32 sums would decide. */
const MARGIN = 0.02;

/** Greedy ids, and the smallest distance of the two best logits on the way. */
async function ours(file: string): Promise<{ ids: number[]; margin: number; text: number[] }> {
  const source = await directoryFolder(nodeHost, file.replace(/\/[^/]+$/, "")).open("model.gguf");
  const model = await openGguf([source], { quantization: "none", profile: "default" });
  const sizes = { ctx: 64, slots: 1, maxRows: 32, maxLogits: 1, kv: "f32" } as const;
  const runner = await reference(planLlama(model.config), model.entries, sizes);
  const ids = [...PROMPT];
  let margin = Number.POSITIVE_INFINITY;
  for (let start = 0; ids.length < PROMPT.length + COUNT; ) {
    const count = ids.length - start;
    const spans = [{ slot: 0, start, count }];
    await runner.forward({ ids: ids.slice(start), spans, logitsRows: [count - 1] });
    start = ids.length;
    const [best, second] = [...runner.logits(0)].sort((a, b) => b - a);
    margin = Math.min(margin, best - second);
    ids.push(runner.argmax(0));
  }
  const tokenizer = (await model.loadTokenizer())!;
  const text = tokenizer.encode("Hello world, 1234 times!", { addSpecialTokens: false });
  return { ids: ids.slice(PROMPT.length), margin, text };
}

/** Name, tokenizer, configuration, and a seed whose margins are wide. */
const CASES: readonly [string, string, Record<string, unknown>, number][] = [
  ["SentencePiece, grouped heads", "llama2_sp/fast_legacy", { vocab_size: 1000 }, 3],
  [
    "byte-level BPE, tied",
    "llama3_tiktoken/hf",
    { vocab_size: 1256, tie_word_embeddings: true },
    3,
  ],
  [
    "biases, wide heads",
    "llama2_sp/fast_legacy",
    { vocab_size: 1000, attention_bias: true, head_dim: 32 },
    9,
  ],
  [
    "Llama 3's rope scaling",
    "llama3_tiktoken/hf",
    {
      vocab_size: 1256,
      rope_theta: 500000,
      rope_scaling: {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 32,
      },
    },
    3,
  ],
  [
    "linear scaling",
    "llama2_sp/fast_legacy",
    { vocab_size: 1000, rope_scaling: { rope_type: "linear", factor: 4 } },
    4,
  ],
  [
    "yarn",
    "llama2_sp/fast_legacy",
    {
      vocab_size: 1000,
      rope_scaling: {
        rope_type: "yarn",
        factor: 4,
        original_max_position_embeddings: 32,
        attention_factor: 1.3,
      },
    },
    3,
  ],
  [
    // llama.cpp takes one of the lists by the context's size, 256 at least.
    "longrope",
    "llama2_sp/fast_legacy",
    {
      vocab_size: 1000,
      max_position_embeddings: 512,
      original_max_position_embeddings: 256,
      rope_scaling: {
        rope_type: "longrope",
        short_factor: [1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.4],
        long_factor: [1, 2, 3, 4, 5, 6, 7, 8],
        attention_factor: 1.2,
      },
    },
    3,
  ],
];

describe.runIf(isSupported)("a Hugging Face directory, converted by the command", () => {
  test.each(CASES)(
    "%s: llama.cpp goes on with the same tokens",
    async (name, tokenizer, fields, seed) => {
      const folder = join(out, name.replace(/\W+/g, "-"));
      const checkpoint = randomCheckpoint({ ...SIZES, ...fields }, seed, tokenizer);
      await saveHfDirectory(checkpoint, outputFolder(join(folder, "hf")));
      const convert = [main, "convert", join(folder, "hf"), "--to", "gguf", "--out", folder];
      execFileSync(process.execPath, convert, { stdio: "ignore", timeout: 180_000 });

      const file = join(folder, "model.gguf");
      const { ids, margin, text } = await ours(file);
      expect(margin).toBeGreaterThan(MARGIN);
      const child = fileURLToPath(new URL("llama-cpp-child.mjs", import.meta.url));
      const args = [child, module, file, PROMPT.join(","), `${COUNT}`];
      const theirs = JSON.parse(
        execFileSync(process.execPath, args, { encoding: "utf8", timeout: 300_000 }),
      );
      expect(theirs.made).toEqual(ids);
      expect(theirs.text).toEqual(text);
    },
  );
});

describe.runIf(isSupported)(
  "a Meta directory with Llama 3's tiktoken file, converted by the command",
  () => {
    test("llama.cpp reads texts as the same tokens as tiktoken", async () => {
      const folder = join(out, "meta");
      const tokenizers = fileURLToPath(new URL("../goldens/tokenizers/", import.meta.url));
      const file = new Uint8Array(
        readFileSync(join(tokenizers, "llama3_tiktoken/tokenizer.model")),
      );
      const checkpoint = {
        ...randomCheckpoint({ ...SIZES, intermediate_size: 256, vocab_size: 1256 }, 3),
        files: new Map([["tokenizer.model", { size: file.length, read: async () => file }]]),
      };
      await saveMetaDirectory(checkpoint, outputFolder(join(folder, "from")));
      const convert = [main, "convert", join(folder, "from"), "--to", "gguf", "--out", folder];
      execFileSync(process.execPath, convert, { stdio: "ignore", timeout: 180_000 });

      // Of texts that llama.cpp reads whole: it stops at a NUL.
      const golden = JSON.parse(readFileSync(join(tokenizers, "strings.json"), "utf8"));
      const texts = (golden.strings as string[]).filter((text) => !text.includes("\0"));
      const list = join(folder, "texts.json");
      writeFileSync(list, JSON.stringify(texts));
      const child = fileURLToPath(new URL("llama-cpp-child.mjs", import.meta.url));
      const args = [child, module, join(folder, "model.gguf"), "1000", "1", list];
      const theirs = JSON.parse(
        execFileSync(process.execPath, args, { encoding: "utf8", timeout: 300_000 }),
      );
      const config = new LLaMATokenizerConfig({ impl: "tiktoken" });
      const encode = (await loadFairseq2Tokenizer(file, config)).createRawEncoder();
      expect(theirs.texts).toHaveLength(texts.length);
      for (const [i, ids] of theirs.texts.entries()) {
        // Special tokens that a text spells are text there, tokens in tiktoken's allowed_special="all".
        if (/<\|.*\|>/s.test(texts[i]!)) continue;
        expect(ids, JSON.stringify(texts[i])).toEqual(encode(texts[i]!));
      }
    });
  },
);
