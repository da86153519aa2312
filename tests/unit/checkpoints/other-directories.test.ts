/** What goldens do not have of fairseq2's, Flax's and PyTorch's directories. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../../src/checkpoints/checkpoint.ts";
import { openCheckpointFolder } from "../../../src/checkpoints/open-folder.ts";
import { type MemoryFolder, memoryFolder } from "../../support/memory-folder.ts";
import { map, ndarray } from "../formats/msgpack/flax-writer.ts";
import {
  bytesOf,
  type Code,
  call,
  dict,
  f32,
  pickle,
  type StateEntry,
  text,
  torchState,
  zip,
} from "../formats/torch/torch-writer.ts";

function folder(files: Readonly<Record<string, Uint8Array | object>>): MemoryFolder {
  const target = memoryFolder();
  for (const [name, content] of Object.entries(files)) {
    const bytes =
      content instanceof Uint8Array ? content : new TextEncoder().encode(JSON.stringify(content));
    target.files.set(name, bytes);
  }
  return target;
}

const entry = (shape: number[], ...values: number[]): StateEntry => ({
  type: "FloatStorage",
  shape,
  bytes: f32(...values),
});
const state = (entries: Record<string, StateEntry>): Uint8Array =>
  torchState(new Map(Object.entries(entries)));

async function values({ tensors }: Checkpoint, name: string): Promise<number[]> {
  const { shape, readRows } = tensors.get(name)!;
  const bytes = new Uint8Array(shape.reduce((product, n) => product * n, 4));
  await readRows.call(tensors.get(name), 0, shape[0], bytes);
  return [...new Float32Array(bytes.buffer)];
}

const MALICIOUS = zip([{ name: "m/data.pkl", bytes: pickle(call("os", "system", text("id"))) }]);

describe("a directory of PyTorch files", () => {
  test("leaves out buffers that are no weights, of whatever type", async () => {
    const checkpoint = await openCheckpointFolder(
      folder({
        "config.json": {},
        "generation_config.json": { eos_token_id: 7 },
        "tokenizer_config.json": {},
        "pytorch_model.bin": state({
          "model.norm.weight": entry([2], 1, 2),
          "model.layers.0.self_attn.rotary_emb.inv_freq": entry([1], 9),
          "model.position_ids": { type: "LongStorage", shape: [1], bytes: new Uint8Array(8) },
        }),
      }),
    );
    expect([...checkpoint.tensors.keys()]).toEqual(["model.norm.weight"]);
    expect(await values(checkpoint, "model.norm.weight")).toEqual([1, 2]);
    expect(checkpoint.generation_config).toEqual({ eos_token_id: 7 });
    expect([...checkpoint.files!.keys()]).toEqual(["tokenizer_config.json"]);
  });

  const norm = state({ "model.norm.weight": entry([2], 1, 2) });
  const index = (weight_map: Record<string, string>): object => ({ weight_map });
  test.each<[string, Record<string, Uint8Array | object>, string, string]>([
    ["runs nothing", { "pytorch_model.bin": MALICIOUS }, "unsupported", "os.system"],
    [
      "has integers for weights",
      {
        "pytorch_model.bin": state({
          "lm_head.weight": { type: "LongStorage", shape: [1], bytes: new Uint8Array(8) },
        }),
      },
      "unsupported",
      "torch.LongStorage",
    ],
    [
      "lacks a shard",
      { "pytorch_model.bin.index.json": index({ a: "b.bin" }) },
      "not_found",
      "b.bin",
    ],
    [
      "has a tensor elsewhere",
      { "pytorch_model.bin.index.json": index({ a: "b.bin" }), "b.bin": norm },
      "bad_format",
      "tensor a is not in b.bin",
    ],
    [
      "points out of its folder",
      { "pytorch_model.bin.index.json": index({ a: "../b.bin" }), "../b.bin": norm },
      "bad_format",
      "../b.bin is not a file name",
    ],
  ])("that %s is refused", async (_, files, code, reason) => {
    await expect(
      openCheckpointFolder(folder({ "config.json": {}, ...files })),
    ).rejects.toMatchObject({ code, message: expect.stringContaining(reason) });
  });
});

describe("a directory of Flax", () => {
  const kernel = map({ kernel: ndarray([2, 3], f32(1, 2, 3, 4, 5, 6)) });
  test("in shards has transposed kernels, biases, embeddings and norms", async () => {
    const checkpoint = await openCheckpointFolder(
      folder({
        "config.json": {},
        "flax_model.msgpack.index.json": {
          weight_map: { "lm_head/kernel": "a.msgpack", "model/norm/weight": "b.msgpack" },
        },
        "a.msgpack": bytesOf(map({ lm_head: kernel })),
        "b.msgpack": bytesOf(
          map({
            model: map({
              norm: map({ weight: ndarray([1], f32(7)) }),
              embed_tokens: map({ embedding: ndarray([1, 2], f32(8, 9)) }),
              proj: map({ bias: ndarray([2], f32(3, 4)) }),
            }),
          }),
        ),
      }),
    );
    expect([...checkpoint.tensors.keys()].sort()).toEqual([
      "lm_head.weight",
      "model.embed_tokens.weight",
      "model.norm.weight",
      "model.proj.bias",
    ]);
    expect(checkpoint.tensors.get("lm_head.weight")!.shape).toEqual([3, 2]);
    expect(await values(checkpoint, "lm_head.weight")).toEqual([1, 4, 2, 5, 3, 6]);
    expect(await values(checkpoint, "model.embed_tokens.weight")).toEqual([8, 9]);
    expect(await values(checkpoint, "model.proj.bias")).toEqual([3, 4]);
  });

  const flax = (code: Code): Record<string, Uint8Array> => ({
    "flax_model.msgpack": bytesOf(code),
  });
  test.each<[string, Record<string, Uint8Array | object>, string, string]>([
    [
      "has a leaf that is no weight",
      flax(map({ a: map({ mean: ndarray([1], f32(1)) }) })),
      "unsupported",
      "a/mean: neither a weight nor a bias",
    ],
    [
      "has a convolution",
      flax(map({ a: map({ kernel: ndarray([1, 1, 1], f32(1)) }) })),
      "unsupported",
      "a kernel of shape [1,1,1]",
    ],
    [
      "lacks a tensor of its index",
      {
        "flax_model.msgpack.index.json": { weight_map: { x: "a.msgpack" } },
        "a.msgpack": bytesOf(map({ lm_head: kernel })),
      },
      "bad_format",
      "tensor x is in no shard",
    ],
  ])("that %s is refused", async (_, files, code, reason) => {
    await expect(
      openCheckpointFolder(folder({ "config.json": {}, ...files })),
    ).rejects.toMatchObject({ code, message: expect.stringContaining(reason) });
  });
});

describe("a directory of fairseq2", () => {
  const config = { model_dim: 4, num_attn_heads: 1, num_key_value_heads: 1, vocab_size: 1 };
  const q = entry([4, 1], 10, 20, 30, 40);
  const open = (
    weights: Record<string, StateEntry>,
    fields: object = {},
    wrap?: (code: Code) => Code,
  ): Promise<Checkpoint> =>
    openCheckpointFolder(
      folder({
        "config.json": { ...config, ...fields },
        "model.pt": torchState(new Map(Object.entries(weights)), wrap),
      }),
    );

  test("has q and k in halves, with or without a dict around them", async () => {
    const weights = { "decoder.layers.0.self_attn.q_proj.weight": q };
    for (const wrap of [undefined, (code: Code): Code => dict(text("model"), code)]) {
      const checkpoint = await open(weights, {}, wrap);
      expect(await values(checkpoint, "model.layers.0.self_attn.q_proj.weight")).toEqual([
        10, 30, 20, 40,
      ]);
    }
  });

  test("that ties its head to the embedding has it once", async () => {
    const embed = entry([1, 4], 1, 2, 3, 4);
    const weights = { "decoder_frontend.embed.weight": embed, "final_proj.weight": embed };
    expect([...(await open(weights)).tensors.keys()].length).toBe(2);
    const tied = await open(weights, { tied_embeddings: true });
    expect([...tied.tensors.keys()]).toEqual(["model.embed_tokens.weight"]);
    expect(tied.config.tie_word_embeddings).toBe(true);
  });

  test.each<[string, Record<string, StateEntry>, object, string, string]>([
    [
      "has another weight",
      { "decoder.layers.0.conv.weight": q },
      {},
      "unsupported",
      "decoder.layers.0.conv.weight belongs to no Llama",
    ],
    [
      "has rows for other heads",
      { "decoder.layers.0.self_attn.k_proj.weight": q },
      { num_key_value_heads: 2 },
      "bad_format",
      "shape [4,1], 2 heads of 4",
    ],
    [
      "has heads that do not divide",
      {},
      { num_attn_heads: 3 },
      "bad_format",
      "config.json: num_attn_heads: 3",
    ],
    ["has no width", {}, { model_dim: null }, "bad_format", "config.json: model_dim: null"],
    [
      "has one frequency factor",
      {},
      { use_scaled_rope: true, rope_scale: { frequency_factors: [1] } },
      "bad_format",
      "frequency_factors: [1]",
    ],
  ])("that %s is refused", async (_, weights, fields, code, reason) => {
    await expect(open(weights, fields)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(reason),
    });
  });
});

describe("fairseq2's configurations become those that its to_hg_config gives", () => {
  const path = new URL("../../goldens/fairseq2/registry.json", import.meta.url);
  const { archs } = JSON.parse(readFileSync(path, "utf8")) as {
    archs: Record<string, { config: object; to_hg_config: object }>;
  };
  test.each(Object.entries(archs))("%s", async (_, arch) => {
    const files = { "config.json": arch.config, "model.pt": state({}) };
    expect((await openCheckpointFolder(folder(files))).config).toMatchObject(arch.to_hg_config);
  });
});
