import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openGgufCheckpoint } from "../../../src/checkpoints/gguf-checkpoint.ts";
import { openPackCheckpoint } from "../../../src/checkpoints/pack-checkpoint.ts";
import { saveGguf } from "../../../src/checkpoints/save-gguf.ts";
import { vocabularyFiles } from "../../../src/checkpoints/tokenizer-of-vocabulary.ts";
import { packModel } from "../../../src/engine/pack-model.ts";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import { writeOutput } from "../../../src/formats/output-file.ts";
import { autoTokenizer, tokenizerFromGguf } from "../../../src/llama/tokenizer/load-tokenizer.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { memoryFolder } from "../../support/memory-folder.ts";
import { randomCheckpoint } from "../../support/random-checkpoint.ts";

const goldens = new URL("../../goldens/tokenizers/", import.meta.url);
const { strings }: { strings: string[] } = JSON.parse(
  readFileSync(new URL("strings.json", goldens), "utf8"),
);

async function load(files: ReadonlyMap<string, { read(): Promise<Uint8Array> }>) {
  const entries = [...files].map(async ([name, file]) => [name, await file.read()] as const);
  return autoTokenizer(Object.fromEntries(await Promise.all(entries)));
}

test.each(["tok_sp.gguf", "tok_bpe.gguf"])(
  "%s becomes a tokenizer.json of the same ids",
  async (name) => {
    const bytes = new Uint8Array(readFileSync(new URL(name, goldens)));
    const { metadata } = await readGguf(memorySource(bytes, name));
    const found = await load(vocabularyFiles(() => compileTokenizer(metadata), "{{ 1 }}"));
    const expected = tokenizerFromGguf(metadata);
    for (const text of [...strings, "<s> a</s>b", "a<|eot_id|> b"]) {
      const ids = expected.encode(text);
      expect(found.encode(text), JSON.stringify(text)).toEqual(ids);
      expect(found.decode(ids)).toBe(expected.decode(ids));
    }
    expect(found.bos_token_id).toBe(expected.bos_token_id);
    expect(found.chat_template).toBe("{{ 1 }}");
  },
);

describe("a pack gives back the tokenizer of the directory that it was made of", () => {
  test.each([
    ["llama2_sp/fast", 1000],
    ["llama2_sp/fast_legacy", 1000],
    ["llama3_tiktoken/hf", 1256],
  ])("%s", async (folder, vocab_size) => {
    const sizes = { hidden_size: 32, intermediate_size: 32, num_hidden_layers: 1 };
    const fields = { ...sizes, num_attention_heads: 2, max_position_embeddings: 64, vocab_size };
    const checkpoint = randomCheckpoint(fields, 1, folder);
    const pack = memoryFolder();
    const target = {
      name: "memory",
      exists: async (name: string) => pack.files.has(name),
      write: async (name: string, bytes: Uint8Array) => void pack.files.set(name, bytes.slice()),
    };
    await packModel({ checkpoint }, target, { quantization: "none" });
    const found = await load((await openPackCheckpoint(pack)).files!);
    const expected = await load(checkpoint.files!);
    for (const text of [...strings, "<s>a</s>b", "a<|eot_id|> b"]) {
      expect(found.encode(text), JSON.stringify(text)).toEqual(expected.encode(text));
    }
  });
});

test("a GGUF file comes with its tokenizer, or without one of a kind that is not read", async () => {
  const checkpoint = randomCheckpoint(
    {
      hidden_size: 32,
      intermediate_size: 32,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      max_position_embeddings: 64,
      vocab_size: 1256,
    },
    1,
    "llama3_tiktoken/hf",
  );
  const folder = memoryFolder();
  await writeOutput(folder, "model.gguf", (file) => saveGguf(checkpoint, file));
  const bytes = folder.files.get("model.gguf")!;
  const open = async (file: Uint8Array) => openGgufCheckpoint([memorySource(file, "model.gguf")]);
  const found = await load((await open(bytes)).files!);
  const expected = await load(checkpoint.files!);
  for (const text of strings) expect(found.encode(text)).toEqual(expected.encode(text));

  const other = bytes.slice();
  const at = Buffer.from(other).indexOf("llama-bpe");
  other.set(new TextEncoder().encode("llama-xyz"), at);
  expect((await open(other)).files).toBeUndefined();
});
