/** Tokenizers of checkpoints on the way into packs: what the command reads is what they are of. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { saveHfDirectory } from "../../src/checkpoints/save-hf.ts";
import { saveMetaDirectory } from "../../src/checkpoints/save-meta.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import {
  LLaMATokenizerConfig,
  loadFairseq2Tokenizer,
} from "../../src/llama/tokenizer/load-fairseq2-tokenizer.ts";
import { autoTokenizer } from "../../src/llama/tokenizer/load-tokenizer.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { outputFolder } from "../../src/platform/host/output-folder.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { randomCheckpoint } from "../support/random-checkpoint.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const out = mkdtempSync(join(tmpdir(), "pronk-tokenizers-"));
afterAll(() => rmSync(out, { recursive: true, force: true }));

const goldens = fileURLToPath(new URL("../goldens/tokenizers/", import.meta.url));

const SIZES = {
  hidden_size: 64,
  intermediate_size: 256,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 128,
};

function pronk(args: readonly string[], input = ""): string {
  return execFileSync(process.execPath, [main, ...args], {
    encoding: "utf8",
    input,
    stdio: ["pipe", "pipe", "ignore"],
    timeout: 180_000,
  });
}

const file = new Uint8Array(readFileSync(join(goldens, "llama3_tiktoken/tokenizer.model")));

/** The directory, and its tokenizer's ids. */
const DIRECTORIES: readonly [string, string, (text: string) => Promise<number[]>][] = [
  [
    "Meta's with tiktoken ranks",
    "meta",
    async (text) => {
      const config = new LLaMATokenizerConfig({ impl: "tiktoken" });
      return (await loadFairseq2Tokenizer(file, config)).createEncoder({ mode: "prompt" })(text);
    },
  ],
  ["Hugging Face's, byte-level", "llama3", (text) => ownIds("llama3_tiktoken/hf", text)],
  ["Hugging Face's, with byte fallback", "llama2", (text) => ownIds("llama2_sp/fast_legacy", text)],
  ["Hugging Face's, legacy: false", "llama2-once", (text) => ownIds("llama2_sp/fast", text)],
];

async function ownIds(folder: string, text: string): Promise<number[]> {
  const source = directoryFolder(nodeHost, join(goldens, folder));
  return (await autoTokenizer(source)).encode(text);
}

beforeAll(async () => {
  const meta = {
    ...randomCheckpoint({ ...SIZES, vocab_size: 1256 }, 3),
    files: new Map([["tokenizer.model", { size: file.length, read: async () => file }]]),
  };
  await saveMetaDirectory(meta, outputFolder(join(out, "meta")));
  for (const [name, tokenizer, vocab_size] of [
    ["llama3", "llama3_tiktoken/hf", 1256],
    ["llama2", "llama2_sp/fast_legacy", 1000],
    ["llama2-once", "llama2_sp/fast", 1000],
  ] as const) {
    const checkpoint = randomCheckpoint({ ...SIZES, vocab_size }, 3, tokenizer);
    await saveHfDirectory(checkpoint, outputFolder(join(out, name)));
  }
});

const TEXT = "Hello world, 1234 times!\n\n  na\u00efve \u65e5\u672c";

describe.each(DIRECTORIES)("a directory, %s", (_, folder, idsOf) => {
  test("runs as it is and from its pack to the same text, with its tokenizer's ids", async () => {
    const path = join(out, folder);
    const pack = join(out, `${folder}-pack`);
    pronk(["pack", path, "--out", pack, "--quant", "none"]);
    const options = ["--prompt", "Hello world", "--max-tokens", "8", "--kv", "f32"];
    const made = JSON.parse(pronk(["run", path, ...options, "--quant", "none", "--json"]));
    expect(made.prompt_ids).toEqual(await idsOf("Hello world"));
    const packed = JSON.parse(pronk(["run", pack, ...options, "--json"]));
    expect(packed.text).toBe(made.text);

    const ids = await idsOf(TEXT);
    for (const model of [path, pack]) {
      const found = pronk(["tokenize", model, "--add-special"], TEXT);
      expect(found.trim().split(" ").map(Number)).toEqual(ids);
    }
  });
});
