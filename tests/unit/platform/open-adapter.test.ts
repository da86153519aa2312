/** LoRA adapters by what names them on hosts with files, and where there is nothing but fetch. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openLoraAdapter } from "../../../src/adapters/open-lora-adapter.ts";
import { openAdapterFolder as openInBrowser } from "../../../src/platform/browser/open-adapter.ts";
import { openAdapterFolder } from "../../../src/platform/host/open-adapter.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import type { SourceFolder } from "../../../src/sources/source.ts";
import { randomLoraFolder } from "../../support/random-lora.ts";
import { serveBytes } from "../hub/file-server.ts";
import { type HubServer, startHubServer } from "./hub-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const { files } = await randomLoraFolder("source");
const config = files.get("adapter_config.json")!;
const weights = files.get("adapter_model.safetensors")!;

async function startHub(): Promise<HubServer> {
  const server = await startHubServer();
  onTestFinished(() => server.close());
  server.publish("owner/sql-lora", {
    "README.md": { bytes: new TextEncoder().encode("# sql") },
    "adapter_config.json": { bytes: config },
    "adapter_model.safetensors": { bytes: weights, lfs: true },
  });
  return server;
}

const modulesOf = async (folder: SourceFolder): Promise<string[]> => [
  ...(await openLoraAdapter(folder)).modules.keys(),
];
const MODULES = ["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj"];

test("a path is the directory that it names", async () => {
  const path = join(await temporaryFolder(), "sql");
  await mkdir(path);
  await writeFile(join(path, "adapter_config.json"), config);
  await writeFile(join(path, "adapter_model.safetensors"), weights);
  const folder = await openAdapterFolder(nodeHost, path, { env: {}, fetch });
  expect(folder.name).toBe(path);
  expect(await modulesOf(folder)).toEqual(MODULES);
});

test("a path where nothing is says so, with the path", async () => {
  const path = join(await temporaryFolder(), "nothing");
  const folder = await openAdapterFolder(nodeHost, path, { env: {}, fetch });
  await expect(openLoraAdapter(folder)).rejects.toMatchObject({
    code: "not_found",
    message: expect.stringContaining(path),
  });
});

test("a repository of the hub is pulled once, without what is no part of the adapter", async () => {
  const server = await startHub();
  const env = { PRONK_CACHE: await temporaryFolder(), HF_ENDPOINT: server.hub.url };
  const open = (more: Record<string, string> = {}) =>
    openAdapterFolder(nodeHost, "hf:owner/sql-lora", { env: { ...env, ...more }, fetch });
  expect(await modulesOf(await open())).toEqual(MODULES);
  expect(server.asked().some((path) => path.includes("README"))).toBe(false);
  server.forget();
  expect(await modulesOf(await open({ HF_HUB_OFFLINE: "1" }))).toEqual(MODULES);
  expect(server.asked()).toEqual([]);
});

test("a URL is read where it is", async () => {
  const server = await startHub();
  server.hub.routes.set("/loras/sql/adapter_config.json", serveBytes(config));
  server.hub.routes.set("/loras/sql/adapter_model.safetensors", serveBytes(weights));
  const url = `${server.hub.url}/loras/sql/`;
  const folder = await openAdapterFolder(nodeHost, url, { env: {}, fetch });
  expect(await modulesOf(folder)).toEqual(MODULES);
  expect(await modulesOf(await openInBrowser(url, { fetch }))).toEqual(MODULES);
});

test("a page reads a repository of the hub where it is, and no paths", async () => {
  const server = await startHub();
  const folder = await openInBrowser("hf:owner/sql-lora", { fetch, hub: server.hub.url });
  expect(await modulesOf(folder)).toEqual(MODULES);
  await expect(openInBrowser("./sql", { fetch })).rejects.toMatchObject({ code: "not_found" });
});
