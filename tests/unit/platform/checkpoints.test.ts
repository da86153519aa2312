import { expect, test } from "vitest";
import * as pronk from "../../../src/platform/node/index.ts";
import { temporaryFolder } from "./temporary-folder.ts";

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

test("an entry opens, saves and opens again", async () => {
  const shards = new URL("../../goldens/meta/mp2", import.meta.url).pathname;
  const checkpoint = await pronk.openCheckpointFolder(pronk.openDirectory(shards));
  const folder = await temporaryFolder();
  const files = await pronk.saveHfDirectory(checkpoint, pronk.outputDirectory(folder));
  expect(files).toContain("model.safetensors");
  const saved = await pronk.openCheckpointFolder(pronk.openDirectory(folder));
  expect([...saved.tensors.keys()].sort()).toEqual([...checkpoint.tensors.keys()].sort());
});
