import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openHfDirectory } from "../../../src/checkpoints/hf-directory.ts";
import { saveHfDirectory } from "../../../src/checkpoints/save-hf.ts";
import { toF32 } from "../../../src/formats/cast-tensor.ts";
import { tensorBytes } from "../../../src/formats/stored-tensor.ts";
import { goldenPath, openGoldenModel } from "../../support/golden-model.ts";
import { memoryFolder } from "../../support/memory-folder.ts";

/** The files of weights, and their index. */
function weightFiles(model: string): string[] {
  return readdirSync(goldenPath(model)).filter((name) => name.startsWith("model"));
}

describe("writes the same bytes as transformers", () => {
  test.each(["mha", "gqa", "mqa", "tied", "bias", "head_dim", "bf16_sharded"])(
    "%s",
    async (model) => {
      const folder = memoryFolder();
      // What the shards were made with; the others have one.
      await saveHfDirectory(await openGoldenModel(model), folder, {
        maxShardBytes: model === "bf16_sharded" ? 100e3 : undefined,
      });
      for (const name of weightFiles(model)) {
        const expected = readFileSync(`${goldenPath(model)}/${name}`);
        const found = folder.files.get(name);
        if (name.endsWith(".json")) {
          expect(JSON.parse(new TextDecoder().decode(found))).toEqual(
            JSON.parse(expected.toString()),
          );
        } else {
          expect(found, name).toBeDefined();
          expect(expected.equals(found!), name).toBe(true);
        }
      }
      expect([...folder.files.keys()].filter((name) => name.startsWith("model")).sort()).toEqual(
        weightFiles(model).sort(),
      );
      const config = JSON.parse(new TextDecoder().decode(folder.files.get("config.json")));
      expect(config).toEqual(JSON.parse(readFileSync(`${goldenPath(model)}/config.json`, "utf8")));
    },
  );
});

test("casts all weights where a dtype is asked for, and says so in config.json", async () => {
  const folder = memoryFolder();
  const source = await openGoldenModel("mha");
  await saveHfDirectory(source, folder, { dtype: "BF16" });
  const saved = await openHfDirectory(folder);
  expect(saved.config.dtype).toBe("bfloat16");
  for (const [name, tensor] of saved.tensors) {
    expect(tensor.type).toBe("BF16");
    const original = source.tensors.get(name)!;
    const rows = tensor.shape[0];
    const found = new Uint8Array(tensorBytes(tensor));
    await tensor.readRows(0, rows, found);
    const expected = new Uint8Array(tensorBytes(original));
    await original.readRows(0, rows, expected);
    const exact = toF32(expected, "F32");
    toF32(found, "BF16").forEach((value, i) => {
      expect(Math.abs(value - exact[i])).toBeLessThanOrEqual(Math.abs(exact[i]) / 256);
    });
  }
});

test("leaves no file behind that was begun and could not be finished", async () => {
  const folder = memoryFolder();
  const source = await openGoldenModel("mha");
  const broken = new Map(source.tensors);
  broken.set("lm_head.weight", {
    ...source.tensors.get("lm_head.weight")!,
    readRows: () => Promise.reject(new Error("gone")),
  });
  await expect(saveHfDirectory({ ...source, tensors: broken }, folder)).rejects.toThrow("gone");
  expect([...folder.files.keys()]).toEqual([]);
});
