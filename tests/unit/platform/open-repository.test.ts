import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { openSourceModel } from "../../../src/platform/host/open-model.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import { startHubServer } from "./hub-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const gqa = fileURLToPath(new URL("../../goldens/models/gqa", import.meta.url));

test("a checkpoint of the hub opens by its name, later without the hub", async () => {
  const server = await startHubServer();
  onTestFinished(() => server.close());
  server.publish("owner/gqa", {
    "config.json": { bytes: await readFile(`${gqa}/config.json`) },
    "model.safetensors": { bytes: await readFile(`${gqa}/model.safetensors`), lfs: true },
  });
  const env = { PRONK_CACHE: await temporaryFolder(), HF_ENDPOINT: server.hub.url };
  const open = async (name: string, more = {}) => {
    const model = await openSourceModel(nodeHost, name, { env: { ...env, ...more }, fetch });
    if (!("checkpoint" in model.input)) throw new Error("no checkpoint");
    const { config, tensors } = model.input.checkpoint;
    const norm = new Uint8Array(4 * (config.hidden_size as number)); // f32
    await tensors.get("model.norm.weight")?.readRows(0, norm.length / 4, norm);
    await model.close();
    return { id: model.id, config, names: [...tensors.keys()], norm };
  };
  const local = await open(gqa);
  expect(local.names.length).toBeGreaterThan(10);
  expect(await open("hf:owner/gqa")).toEqual({ ...local, id: "gqa" });
  server.forget();
  expect(await open("hf:owner/gqa", { HF_HUB_OFFLINE: "1" })).toEqual({ ...local, id: "gqa" });
  expect(server.asked()).toEqual([]);
});
