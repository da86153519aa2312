import { describe, expect, test } from "vitest";
import { openHfDirectory } from "../../../src/checkpoints/hf-directory.ts";
import { PronkError } from "../../../src/errors.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import type { SourceFolder } from "../../../src/sources/source.ts";
import { openGoldenModel } from "../../support/golden-model.ts";

/** A folder of texts and bytes. */
function folder(files: Record<string, string | Uint8Array>): SourceFolder {
  return {
    name: "model",
    async open(name) {
      const content = files[name];
      if (content === undefined) throw new PronkError("not_found", `model/${name}: no such file`);
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      return memorySource(bytes, `model/${name}`);
    },
  };
}

/** A file of zeroed tensors of one dtype; `bytes` each. */
function weights(dtype: string, shapes: Record<string, number[]>, bytes: number): Uint8Array {
  let end = 0;
  const header: Record<string, unknown> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const start = end;
    end += shape.reduce((product, dim) => product * dim, bytes);
    header[name] = { dtype, shape, data_offsets: [start, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

test("reads the same tensors from shards as their index says", async () => {
  const checkpoint = await openGoldenModel("bf16_sharded");
  expect(checkpoint.config.vocab_size).toBe(512);
  const embedding = checkpoint.tensors.get("model.embed_tokens.weight")!;
  expect(embedding).toMatchObject({ type: "BF16", shape: [512, 64] });
  const whole = new Uint8Array(512 * 64 * 2);
  await embedding.readRows(0, 512, whole);
  const rows = new Uint8Array(3 * 64 * 2);
  await embedding.readRows(100, 3, rows);
  expect(rows).toEqual(whole.subarray(100 * 128, 103 * 128));
  await expect(embedding.readRows(511, 2, rows.subarray(0, 256))).rejects.toThrow(
    "rows [511, 513)",
  );
});

test("leaves out integer buffers, and reads generation_config.json and the tokenizer's files", async () => {
  const checkpoint = await openHfDirectory(
    folder({
      "config.json": "{}",
      "generation_config.json": `{"eos_token_id":[1,2]}`,
      "tokenizer_config.json": `{"a":1}`,
      "model.safetensors": weights("I64", { "model.position_ids": [2] }, 8),
    }),
  );
  expect([...checkpoint.tensors]).toEqual([]);
  expect(checkpoint.generation_config).toEqual({ eos_token_id: [1, 2] });
  expect([...checkpoint.files!.keys()]).toEqual(["tokenizer_config.json"]);
  const bytes = await checkpoint.files!.get("tokenizer_config.json")!.read();
  expect(new TextDecoder().decode(bytes)).toBe(`{"a":1}`);
});

describe("refuses", () => {
  const index = (map: unknown): string => JSON.stringify({ weight_map: map });
  const single = weights("F32", { "a.weight": [2] }, 4);
  test.each([
    ["a folder without config.json", { "model.safetensors": single }, "not_found", "config.json"],
    ["a folder without weights", { "config.json": "{}" }, "not_found", "model.safetensors"],
    ["a config.json that is a list", { "config.json": "[]" }, "bad_format", "not a JSON object"],
    [
      "GPTQ by name",
      {
        "config.json": `{"quantization_config":{"quant_method":"gptq","bits":4}}`,
        "model.safetensors": single,
      },
      "unsupported",
      "gptq",
    ],
    [
      "a weight of integers",
      { "config.json": "{}", "model.safetensors": weights("I32", { "a.weight": [2] }, 4) },
      "unsupported",
      "tensor a.weight: dtype I32",
    ],
    [
      "an index that leads out of the folder",
      { "config.json": "{}", "model.safetensors.index.json": index({ a: "../b.safetensors" }) },
      "bad_format",
      "is not a file name",
    ],
    [
      "an index whose shard is missing",
      { "config.json": "{}", "model.safetensors.index.json": index({ a: "b.safetensors" }) },
      "not_found",
      "b.safetensors",
    ],
    [
      "an index whose tensor is not in its shard",
      {
        "config.json": "{}",
        "model.safetensors.index.json": index({ "b.weight": "b.safetensors" }),
        "b.safetensors": single,
      },
      "bad_format",
      "tensor b.weight is not in b.safetensors",
    ],
    [
      "an index without a map",
      { "config.json": "{}", "model.safetensors.index.json": "{}" },
      "bad_format",
      "weight_map",
    ],
  ])("%s", async (_, files, code, message) => {
    await expect(openHfDirectory(folder(files as Record<string, string>))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });
});
