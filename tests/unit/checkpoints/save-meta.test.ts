import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../../src/checkpoints/checkpoint.ts";
import { openMetaDirectory } from "../../../src/checkpoints/meta-directory.ts";
import { saveHfDirectory } from "../../../src/checkpoints/save-hf.ts";
import { saveMetaDirectory } from "../../../src/checkpoints/save-meta.ts";
import { directoryFolder } from "../../../src/platform/host/directory.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import { openGoldenModel } from "../../support/golden-model.ts";
import { type MemoryFolder, memoryFolder } from "../../support/memory-folder.ts";
import { randomCheckpoint } from "../../support/random-checkpoint.ts";

async function weights(checkpoint: Checkpoint): Promise<Uint8Array> {
  const folder = memoryFolder();
  await saveHfDirectory(checkpoint, folder);
  return folder.files.get("model.safetensors")!;
}

async function saved(checkpoint: Checkpoint): Promise<MemoryFolder> {
  const folder = memoryFolder();
  await saveMetaDirectory(checkpoint, folder);
  return folder;
}

const FIELDS = [
  "hidden_size",
  "intermediate_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "vocab_size",
  "rms_norm_eps",
  "rope_theta",
  "rope_scaling",
  "tie_word_embeddings",
  "dtype",
];

test.each(["mha", "gqa", "mqa", "tied"])(
  "%s comes back from Meta's form bit for bit",
  async (model) => {
    const source = await openGoldenModel(model);
    const read = await openMetaDirectory(await saved(source));
    expect(Buffer.compare(await weights(read), await weights(source))).toBe(0);
    for (const field of FIELDS) expect(read.config[field], field).toEqual(source.config[field]);
  },
);

test("what Meta's shards hold is the same in one", async () => {
  const folder = new URL("../../goldens/meta/mp2", import.meta.url).pathname;
  const source = await openMetaDirectory(directoryFolder(nodeHost, folder));
  const read = await openMetaDirectory(await saved(source));
  expect(Buffer.compare(await weights(read), await weights(source))).toBe(0);
  expect(read.config).toEqual(source.config);
});

/** As llama/model.py: FeedForward.__init__. */
function metaWidth(params: {
  dim: number;
  multiple_of: number;
  ffn_dim_multiplier?: number;
}): number {
  let width = Math.floor((2 * 4 * params.dim) / 3);
  if (params.ffn_dim_multiplier) width = Math.floor(params.ffn_dim_multiplier * width);
  return params.multiple_of * Math.floor((width + params.multiple_of - 1) / params.multiple_of);
}

test.each([
  [4096, 11008],
  [2048, 8192],
  [576, 1536],
  [64, 97],
  [64, 16],
])(
  "params.json of width %i gives Meta's code %i columns of the feed-forward layer",
  async (hidden_size, intermediate_size) => {
    // Sizes alone matter: a tensor is not read before the file's header is written.
    const source = randomCheckpoint(
      {
        vocab_size: 8,
        hidden_size: 64,
        intermediate_size: 64,
        num_hidden_layers: 1,
        num_attention_heads: 1,
      },
      1,
    );
    const tensors = new Map(
      [...source.tensors].map(([name, tensor]) => {
        const shape = tensor.shape.map((size, i) => {
          if (name.includes("mlp."))
            return (i === 0) === name.includes("down") ? hidden_size : intermediate_size;
          return size === 64 ? hidden_size : size;
        });
        return [name, { ...tensor, shape, readRows: async () => {} }];
      }),
    );
    const config = { ...source.config, hidden_size, intermediate_size, num_attention_heads: 32 };
    let params = "";
    await saveMetaDirectory(
      { ...source, config, tensors },
      {
        name: "params only",
        create: async (name) => ({
          async write(bytes) {
            if (name === "params.json") params += new TextDecoder().decode(bytes);
          },
          async close() {},
          async discard() {},
        }),
      },
    );
    expect(metaWidth(JSON.parse(params))).toBe(intermediate_size);
  },
);

describe("refuses", () => {
  const sizes = {
    vocab_size: 16,
    hidden_size: 32,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 2,
  };
  test.each([
    ["attention_bias true", { attention_bias: true }],
    ["head_dim 32", { head_dim: 32 }],
    ['rope_scaling "linear"', { rope_scaling: { rope_type: "linear", factor: 2 } }],
    [
      "original_max_position_embeddings 4096",
      {
        rope_scaling: {
          rope_type: "llama3",
          factor: 8,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 4096,
        },
      },
    ],
  ])("%s", async (what, fields) => {
    await expect(saved(randomCheckpoint({ ...sizes, ...fields }, 1))).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining(what),
    });
  });
});
