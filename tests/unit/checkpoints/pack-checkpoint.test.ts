import { expect, test } from "vitest";
import type { Checkpoint } from "../../../src/checkpoints/checkpoint.ts";
import { openPackCheckpoint } from "../../../src/checkpoints/pack-checkpoint.ts";
import { saveHfDirectory } from "../../../src/checkpoints/save-hf.ts";
import { openPack } from "../../../src/engine/open-pack.ts";
import { packModel } from "../../../src/engine/pack-model.ts";
import { castTensor, toF32 } from "../../../src/formats/cast-tensor.ts";
import { tensorBytes } from "../../../src/formats/stored-tensor.ts";
import { unpackRow } from "../../../src/pack/unpack-row.ts";
import { openGoldenModel } from "../../support/golden-model.ts";
import { type MemoryFolder, memoryFolder } from "../../support/memory-folder.ts";

const MODELS = ["mha", "gqa", "mqa", "tied", "bias", "head_dim", "bf16_sharded"];

async function packed(
  checkpoint: Checkpoint,
  quantization: "none" | "q4" | "q8",
): Promise<MemoryFolder> {
  const folder = memoryFolder();
  await packModel(
    { checkpoint },
    {
      name: "memory",
      exists: async (name) => folder.files.has(name),
      write: async (name, bytes) => void folder.files.set(name, bytes.slice()),
    },
    { quantization, shardBytes: 32 * 1024 },
  );
  return folder;
}

async function saved(checkpoint: Checkpoint): Promise<Map<string, Uint8Array>> {
  const folder = memoryFolder();
  await saveHfDirectory(checkpoint, folder);
  return folder.files;
}

test.each(MODELS)("%s comes back from a pack bit for bit, config.json too", async (model) => {
  const checkpoint = await openGoldenModel(model);
  const pack = await packed(checkpoint, "none");
  const before = await saved(checkpoint);
  const after = await saved(await openPackCheckpoint(pack));
  for (const name of ["model.safetensors", "config.json"]) {
    expect(Buffer.compare(after.get(name)!, before.get(name)!), name).toBe(0);
  }
});

test("tensors of different dtypes each come back in their own", async () => {
  const source = await openGoldenModel("bias");
  const tensors = new Map(source.tensors);
  const types = ["F32", "BF16", "F16"] as const;
  let i = 0;
  for (const [name, tensor] of tensors) tensors.set(name, castTensor(tensor, types[i++ % 3]));
  const mixed = { ...source, tensors };
  const before = await saved(mixed);
  const after = await saved(await openPackCheckpoint(await packed(mixed, "none")));
  expect(Buffer.compare(after.get("model.safetensors")!, before.get("model.safetensors")!)).toBe(0);
});

test.each(["q4", "q8"] as const)(
  "of a %s pack the weights are those of the kernels",
  async (form) => {
    const folder = await packed(await openGoldenModel("gqa"), form);
    const checkpoint = await openPackCheckpoint(folder);
    const opened = await openPack(folder);
    const image = new Uint8Array(opened.weightBytes);
    await opened.loadWeights(image);
    for (const { name, form, shape, offset, bytes } of opened.tensors) {
      if (form === "vector") continue;
      const tensor = checkpoint.tensors.get(name)!;
      const found = new Uint8Array(tensorBytes(tensor));
      await tensor.readRows(0, shape[0], found);
      const values = toF32(found, tensor.type);
      const row = new Float32Array(shape[1]);
      for (const r of [0, 17, shape[0] - 1]) {
        unpackRow(form, image.subarray(offset, offset + bytes), shape[1], r, row);
        expect(values.subarray(r * shape[1], (r + 1) * shape[1])).toEqual(row);
        const part = new Uint8Array(shape[1] * 4);
        await tensor.readRows(r, 1, part);
        expect(toF32(part, "F32")).toEqual(row);
      }
    }
  },
);
