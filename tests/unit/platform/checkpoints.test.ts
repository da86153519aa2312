import { expect, test } from "vitest";
import * as pronk from "../../../src/platform/node/index.ts";

test("the public entry opens a directory of another library and reads its rows", async () => {
  const folder = pronk.openDirectory(new URL("../../goldens/meta/mp2", import.meta.url).pathname);
  const checkpoint = await pronk.openCheckpointFolder(folder, undefined, { llama_version: "2" });
  const tensor = checkpoint.tensors.get("model.layers.0.self_attn.q_proj.weight")!;
  const rows = new Uint8Array(16 * 64 * 2);
  await tensor.readRows(0, 16, rows);
  expect(tensor).toMatchObject({ type: "BF16", shape: [64, 64] });
  expect(rows.some((byte) => byte !== 0)).toBe(true);
  expect(pronk.saveHfDirectory).toBeTypeOf("function");
});
