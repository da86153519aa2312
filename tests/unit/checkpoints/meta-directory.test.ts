import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { type MetaOptions, openMetaDirectory } from "../../../src/checkpoints/meta-directory.ts";
import { openCheckpointFolder } from "../../../src/checkpoints/open-folder.ts";
import { readTorch } from "../../../src/formats/torch/read-torch.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { openGoldenModel } from "../../support/golden-model.ts";
import { type MemoryFolder, memoryFolder } from "../../support/memory-folder.ts";
import { type StateEntry, torchState } from "../formats/torch/torch-writer.ts";

const golden = new URL("../../goldens/meta/mp1/", import.meta.url);
const PARAMS = JSON.parse(readFileSync(new URL("params.json", golden), "utf8"));

type State = Map<string, StateEntry>;

/** models/gqa as Meta stores it, whole. */
const whole: State = new Map();

beforeAll(async () => {
  const file = new Uint8Array(readFileSync(new URL("consolidated.00.pth", golden)));
  for (const [key, tensor] of await readTorch(memorySource(file, "golden"))) {
    const { shape, storageType } = tensor;
    const bytes = new Uint8Array(shape.reduce((n, dim) => n * dim, 2));
    // Frequencies are float32 and not needed.
    if (storageType !== "BFloat16Storage") continue;
    await tensor.open(key).readRows(0, shape[0], bytes);
    whole.set(key, { type: storageType, shape, bytes });
  }
});

/** Part `i` of `n` along a dimension of a matrix of bf16. */
function cut({ type, shape, bytes }: StateEntry, dim: number, i: number, n: number): StateEntry {
  const [rows, columns] = shape;
  if (dim === 0) {
    const part = bytes.length / n;
    return { type, shape: [rows / n, columns], bytes: bytes.slice(i * part, (i + 1) * part) };
  }
  const width = (columns / n) * 2;
  const part = new Uint8Array(rows * width);
  for (let r = 0; r < rows; r++) {
    const from = r * columns * 2 + i * width;
    part.set(bytes.subarray(from, from + width), r * width);
  }
  return { type, shape: [rows, columns / n], bytes: part };
}

function shard(i: number, n: number, embeddingDim: 0 | 1): State {
  const state: State = new Map();
  for (const [key, entry] of whole) {
    const byColumns =
      /\.(?:wo|w2)\./.test(key) || (key === "tok_embeddings.weight" && embeddingDim === 1);
    const one = entry.shape.length === 1;
    state.set(key, one ? entry : cut(entry, byColumns ? 1 : 0, i, n));
  }
  return state;
}

function folder(shards: readonly State[], params: unknown = PARAMS): MemoryFolder {
  const target = memoryFolder();
  target.files.set("params.json", new TextEncoder().encode(JSON.stringify(params)));
  for (const [i, state] of shards.entries()) {
    target.files.set(`consolidated.${String(i).padStart(2, "0")}.pth`, torchState(state));
  }
  return target;
}

const shards = (n: number, embeddingDim: 0 | 1): State[] =>
  Array.from({ length: n }, (_, i) => shard(i, n, embeddingDim));

describe("shards become the model's tensors, bit for bit", () => {
  test.each<[number, 0 | 1]>([
    [1, 0],
    [2, 0],
    [2, 1],
    [4, 0],
    [4, 1],
    [16, 0],
  ])("%i of them, the embedding split on dim %i", async (n, embeddingDim) => {
    const { tensors, config } = await openMetaDirectory(folder(shards(n, embeddingDim)));
    expect(config).toMatchObject({ vocab_size: 512, intermediate_size: 128, hidden_size: 64 });
    expect(config.dtype).toBe("bfloat16");
    const expected = (await openGoldenModel("gqa")).tensors;
    expect([...tensors.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, { shape, type, readRows }] of expected) {
      expect(type).toBe("F32");
      const size = shape.reduce((product, dim) => product * dim, 1);
      const found = new Uint16Array(size);
      const wanted = new Uint32Array(size);
      await tensors.get(name)!.readRows(0, shape[0], new Uint8Array(found.buffer));
      await readRows(0, shape[0], new Uint8Array(wanted.buffer));
      const same = found.every((bits, i) => bits * 65536 === wanted[i]);
      expect([tensors.get(name)!.shape, same], name).toEqual([shape, true]);
    }
  });
});

describe("the configuration", () => {
  const config = async (params: object, options?: MetaOptions): Promise<unknown> =>
    (await openMetaDirectory(folder([whole], { ...PARAMS, ...params }), undefined, options)).config;

  test("of Llama 1 and 2 is told by the epsilon, of 3.2 by its scaled rotation and width", async () => {
    expect(await config({ norm_eps: 1e-6 })).toMatchObject({ max_position_embeddings: 2048 });
    expect(await config({})).toMatchObject({ max_position_embeddings: 4096, rope_theta: 10_000 });
    expect(await config({ use_scaled_rope: true, rope_theta: 500_000 })).toMatchObject({
      max_position_embeddings: 131_072,
      rope_theta: 500_000,
      bos_token_id: 128_000,
      rope_scaling: {
        factor: 32,
        high_freq_factor: 4,
        low_freq_factor: 1,
        original_max_position_embeddings: 8192,
        rope_type: "llama3",
      },
    });
  });

  test("follows a version that is given, and what params.json says beyond it", async () => {
    expect(await config({ use_scaled_rope: true }, { llama_version: "3.1" })).toMatchObject({
      rope_theta: 500_000,
      rope_scaling: { factor: 8 },
    });
    expect(await config({ use_scaled_rope: true, rope_scaling_factor: 16 })).toMatchObject({
      rope_scaling: { factor: 16 },
    });
    expect(await config({}, { llama_version: "3" })).toMatchObject({
      max_position_embeddings: 8192,
      rope_scaling: null,
      eos_token_id: 128_001,
    });
  });

  test("of other checkpoints takes no version", async () => {
    const other = memoryFolder();
    other.files.set("config.json", new TextEncoder().encode("{}"));
    other.files.set("pytorch_model.bin", torchState(new Map()));
    await expect(openCheckpointFolder(other, undefined, { llama_version: "3" })).rejects.toThrow(
      "llama_version is for Meta's params.json",
    );
    const meta = folder([whole]);
    const { config } = await openCheckpointFolder(meta, undefined, { llama_version: "3" });
    expect(config.max_position_embeddings).toBe(8192);
  });

  test("of Llama 3.2 is tied where the output is the embedding, to the last byte", async () => {
    const params = { ...PARAMS, use_scaled_rope: true };
    const embedding = whole.get("tok_embeddings.weight")!;
    const changed = { ...embedding, bytes: embedding.bytes.slice() };
    changed.bytes[changed.bytes.length - 1] ^= 1;
    for (const [output, tied, version] of [
      [embedding, true, "3.2"],
      [changed, false, "3.2"],
      [embedding, false, "3.1"],
    ] as const) {
      const target = folder([new Map([...whole, ["output.weight", output]])], params);
      const options = { llama_version: version };
      const { config, tensors } = await openMetaDirectory(target, undefined, options);
      expect(config.tie_word_embeddings).toBe(tied);
      expect(tensors.has("lm_head.weight")).toBe(!tied);
    }
  });

  test("is tied where there is no output", async () => {
    const state = new Map([...whole].filter(([key]) => key !== "output.weight"));
    const { config, tensors } = await openMetaDirectory(folder([state]));
    expect(config.tie_word_embeddings).toBe(true);
    expect(tensors.has("lm_head.weight")).toBe(false);
  });
});

describe("refuses", () => {
  const without = (state: State, ...keys: string[]): State =>
    new Map([...state].filter(([key]) => !keys.includes(key)));
  const w = (shape: number[]): StateEntry => ({
    type: "BFloat16Storage",
    shape,
    bytes: new Uint8Array(shape.reduce((n, dim) => n * dim, 2)),
  });
  test.each<[string, () => MemoryFolder, string, string]>([
    ["no shards", () => folder([]), "not_found", "no consolidated.00.pth"],
    [
      "a weight that no Llama has",
      () => folder([new Map([...whole, ["layers.0.attention.wq.bias", w([64])]])]),
      "unsupported",
      "layers.0.attention.wq.bias belongs to no Llama",
    ],
    [
      "shards with other tensors",
      () => folder([shard(0, 2, 0), without(shard(1, 2, 0), "norm.weight")]),
      "bad_format",
      "shard 1 has other tensors",
    ],
    [
      "shards of other shapes",
      () => folder([shard(0, 2, 0), new Map([...shard(1, 2, 0), ["output.weight", w([255, 64])]])]),
      "bad_format",
      "tensor lm_head.weight: [256,64] BF16 and [255,64]",
    ],
    [
      "a shard that is missing",
      () => folder([shard(0, 2, 0)]),
      "bad_format",
      "q_proj.weight has 32 rows, not 64",
    ],
    [
      "a missing embedding",
      () => folder([without(whole, "tok_embeddings.weight")]),
      "bad_format",
      "model.embed_tokens.weight is missing",
    ],
    [
      "a missing layer",
      () => folder([without(whole, "layers.3.attention.wk.weight")]),
      "bad_format",
      "model.layers.3.self_attn.k_proj.weight is missing",
    ],
    [
      "more layers than params.json says",
      () => folder([whole], { ...PARAMS, n_layers: 3 }),
      "bad_format",
      "n_layers: 3, the shards have more",
    ],
    [
      "another width than params.json says",
      () => folder([whole], { ...PARAMS, dim: 128 }),
      "bad_format",
      "dim 128, the embedding has 64",
    ],
    [
      "heads that do not divide",
      () => folder([whole], { ...PARAMS, n_heads: 3 }),
      "bad_format",
      "dim 64 is not an even size for 3 heads",
    ],
    [
      "no width",
      () => folder([whole], { ...PARAMS, dim: undefined }),
      "bad_format",
      "params.json: dim: missing",
    ],
    [
      "a width of -1",
      () => folder([whole], { ...PARAMS, dim: -1 }),
      "bad_format",
      "params.json: dim: -1",
    ],
    [
      "an epsilon of a text",
      () => folder([whole], { ...PARAMS, norm_eps: "1e-5" }),
      "bad_format",
      'norm_eps: "1e-5"',
    ],
    [
      "a tensor of three dimensions",
      () => folder([new Map([...whole, ["layers.0.feed_forward.w3.weight", w([128, 64, 1])]])]),
      "bad_format",
      "up_proj.weight: shape [128,64,1]",
    ],
    [
      "a weight of integers",
      () =>
        folder([
          new Map<string, StateEntry>([
            ...whole,
            ["norm.weight", { type: "LongStorage", shape: [64], bytes: new Uint8Array(512) }],
          ]),
        ]),
      "unsupported",
      "torch.LongStorage",
    ],
  ])("%s", async (_, make, code, reason) => {
    await expect(openMetaDirectory(make())).rejects.toMatchObject({
      code,
      message: expect.stringContaining(reason),
    });
  });
});
