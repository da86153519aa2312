import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../../src/checkpoints/checkpoint.ts";
import { openGgufCheckpoint } from "../../../src/checkpoints/gguf-checkpoint.ts";
import { saveGguf } from "../../../src/checkpoints/save-gguf.ts";
import { saveHfDirectory } from "../../../src/checkpoints/save-hf.ts";
import { castTensor } from "../../../src/formats/cast-tensor.ts";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import { writeOutput } from "../../../src/formats/output-file.ts";
import { parseLlamaConfig } from "../../../src/model/config.ts";
import type { ByteSource } from "../../../src/sources/source.ts";
import { openGoldenModel } from "../../support/golden-model.ts";
import { memoryFolder } from "../../support/memory-folder.ts";

async function gguf(
  checkpoint: Checkpoint,
  options?: Parameters<typeof saveGguf>[2],
): Promise<ByteSource> {
  const folder = memoryFolder();
  await writeOutput(folder, "model.gguf", (file) => saveGguf(checkpoint, file, options));
  return folder.open("model.gguf");
}

async function weights(checkpoint: Checkpoint): Promise<Uint8Array> {
  const folder = memoryFolder();
  await saveHfDirectory(checkpoint, folder);
  return folder.files.get("model.safetensors")!;
}

/** Vectors are f32 in a GGUF; everything else keeps its type. */
function withWideVectors(checkpoint: Checkpoint): Checkpoint {
  const tensors = new Map(
    [...checkpoint.tensors].map(([name, tensor]) => [
      name,
      tensor.shape.length === 1 ? castTensor(tensor, "F32") : tensor,
    ]),
  );
  return { ...checkpoint, tensors };
}

describe("a GGUF file holds every weight bit for bit, q and k rows in their order", () => {
  test.each([
    "mha",
    "gqa",
    "mqa",
    "tied",
    "bias",
    "head_dim",
    "bf16_sharded",
    "rope_linear",
    "rope_yarn",
    "rope_longrope",
  ])("%s", async (model) => {
    const source = await openGoldenModel(model);
    const read = await openGgufCheckpoint([await gguf(source)]);
    const expected = await weights(withWideVectors(source));
    expect(Buffer.compare(await weights(read), expected)).toBe(0);
    for (const field of [
      "hidden_size",
      "num_attention_heads",
      "num_key_value_heads",
      "head_dim",
      "vocab_size",
      "tie_word_embeddings",
      "attention_bias",
      "mlp_bias",
      "max_position_embeddings",
    ]) {
      expect(read.config[field], field).toEqual(source.config[field]);
    }
    const scaling = parseLlamaConfig(source.config, model).rope_scaling;
    const found = read.config.rope_scaling as Record<string, unknown> | null;
    expect(found?.rope_type).toBe(scaling?.rope_type);
    for (const [key, value] of Object.entries(scaling ?? {})) {
      const values = [value].flat();
      [found?.[key]].flat().forEach((x, i) => {
        // metadata and divisors are f32
        if (typeof x === "number") expect(x / (values[i] as number)).toBeCloseTo(1, 6);
        else expect(x).toBe(values[i]);
      });
    }
  });
});

test("q and k rows are pairs in the file, halves of heads in Hugging Face's order", async () => {
  const source = await openGoldenModel("gqa");
  const file = await readGguf(await gguf(source));
  const stored = file.tensors.get("blk.0.attn_k.weight")!;
  const rowBytes = stored.bytes / stored.shape[0];
  const row = new Uint8Array(rowBytes);
  const tensor = source.tensors.get("model.layers.0.self_attn.k_proj.weight")!;
  const expected = new Uint8Array(rowBytes);
  // Of the second head of 16: row 17 of the file is the partner of its first, 8 further in Hugging Face.
  for (const [inFile, inHf] of [
    [16, 16],
    [17, 24],
    [18, 17],
  ]) {
    await stored.source.readInto(row, stored.start + inFile * rowBytes);
    await tensor.readRows(inHf, 1, expected);
    expect(row).toEqual(expected);
  }
});

test.each(["Q8_0", "Q4_0", "Q4_1"] as const)(
  "%s: matrices in blocks, embedding and head in 8 bits",
  async (type) => {
    const file = await readGguf(await gguf(await openGoldenModel("mha"), { type }));
    expect(file.tensors.get("blk.0.attn_q.weight")!.type).toBe(type);
    expect(file.tensors.get("token_embd.weight")!.type).toBe("Q8_0");
    expect(file.tensors.get("blk.0.attn_norm.weight")!.type).toBe("F32");
  },
);

test("refuses what is too large for f16, naming the tensor", async () => {
  const source = await openGoldenModel("mha");
  const large = { ...source.tensors.get("lm_head.weight")! };
  const tensors = new Map(source.tensors).set("lm_head.weight", {
    ...large,
    async readRows(_first, _count, into) {
      new Float32Array(into.buffer, into.byteOffset, into.length / 4).fill(1e6);
    },
  });
  await expect(gguf({ ...source, tensors }, { type: "F16" })).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringContaining("lm_head.weight"),
  });
});
