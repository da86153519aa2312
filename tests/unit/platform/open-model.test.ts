import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Runtime } from "../../../src/engine/runtime.ts";
import { readManifest } from "../../../src/pack/loader.ts";
import { createRuntime, loadNamedModel } from "../../../src/platform/host/create-engine.ts";
import { openModel, openSourceModel } from "../../../src/platform/host/open-model.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import { type FileServer, serveBytes, startFileServer } from "../hub/file-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const tiny = fileURLToPath(new URL("../../goldens/gguf/Q4_1.gguf", import.meta.url));
const options = { env: {}, fetch };

describe("a path", () => {
  test("of a GGUF file is that file", async () => {
    const model = await openModel(nodeHost, tiny, options);
    expect(model.input).toMatchObject({ gguf: [{ name: tiny, size: 434_464 }] });
    expect(model.repair).toBeUndefined();
    await model.close();
  });

  test("of one part is all parts, in order", async () => {
    const folder = await temporaryFolder();
    for (const part of [1, 2, 3]) {
      await copyFile(tiny, join(folder, `m-0000${part}-of-00003.gguf`));
    }
    const path = join(folder, "m-00002-of-00003.gguf");
    const model = await openModel(nodeHost, path, options);
    const names = "gguf" in model.input ? model.input.gguf.map(({ name }) => name) : [];
    expect(names).toEqual([1, 2, 3].map((part) => join(folder, `m-0000${part}-of-00003.gguf`)));
    await model.close();

    await rm(join(folder, "m-00003-of-00003.gguf"));
    await expect(openModel(nodeHost, path, options)).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("m-00003-of-00003.gguf"),
    });
  });

  test("that is not there says which names are known", async () => {
    await expect(openModel(nodeHost, "smollm3", options)).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("smollm2-135m-instruct"),
    });
  });

  test("of a pack has no file behind it", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "manifest.json"), "{}");
    await expect(openSourceModel(nodeHost, folder, options)).rejects.toMatchObject({
      code: "unsupported",
    });
  });
});

describe("a model behind a URL", () => {
  let server: FileServer;
  let runtime: Runtime;
  beforeEach(async () => {
    server = await startFileServer();
    server.routes.set("/tiny.gguf", serveBytes(new Uint8Array(await readFile(tiny))));
    runtime = await createRuntime(nodeHost, 128);
  });
  afterEach(() => server.close());

  const cached = async () => ({ env: { PRONK_CACHE: await temporaryFolder() }, fetch });

  test("is packed into the cache once, and opened from there without a request", async () => {
    const options = await cached();
    const first = await openModel(nodeHost, `${server.url}/tiny.gguf`, options);
    if (!("pack" in first.input)) throw new Error("not a pack");
    expect((await readManifest(first.input.pack)).quantization.requested).toBe("auto");

    server.requests.length = 0;
    await openModel(nodeHost, `${server.url}/tiny.gguf`, options);
    expect(server.requests).toEqual([]);
    const folders = join(options.env.PRONK_CACHE, "packs");
    expect((await readdir(folders)).length).toBe(1);
    await openModel(nodeHost, `${server.url}/tiny.gguf`, { ...options, profile: "small" });
    expect((await readdir(folders)).length).toBe(2);
  });

  test("is read from its file where whole weights are asked for", async () => {
    const options = await cached();
    const model = await openModel(nodeHost, `${server.url}/tiny.gguf`, {
      ...options,
      quantization: "none",
    });
    expect("gguf" in model.input).toBe(true);
    await model.close();
  });

  test("is packed again when its pack was damaged, but another's is not touched", async () => {
    const options = await cached();
    const url = `${server.url}/tiny.gguf`;
    const { input } = await openModel(nodeHost, url, options);
    const folder = "pack" in input ? input.pack.name : "";
    const [shard] = (await readdir(folder)).filter((name) => name.endsWith(".bin"));
    const good = await readFile(join(folder, shard));
    const bad = Buffer.from(good);
    bad[1000] ^= 1;
    await writeFile(join(folder, shard), bad);
    // The tiny model has no tokenizer, which a loaded one needs; the weights come after it.
    const loaded = loadNamedModel(nodeHost, url, runtime, options);
    await expect(loaded).rejects.toMatchObject({ code: "unsupported" });

    const own = join(await temporaryFolder(), "pack");
    await mkdir(own);
    for (const name of await readdir(folder)) {
      await copyFile(join(folder, name), join(own, name));
    }
    expect((await openModel(nodeHost, own, options)).repair).toBeUndefined();

    const model = await openModel(nodeHost, url, options);
    await model.repair?.();
    expect(Buffer.compare(await readFile(join(folder, shard)), good)).toBe(0);
  });

  test("that is a pack is read in place, with or without the manifest's name", async () => {
    for (const end of ["", "/", "/manifest.json"]) {
      const { input } = await openModel(nodeHost, `${server.url}/pack${end}`, options);
      expect(input).toMatchObject({ pack: { name: `${server.url}/pack` } });
    }
  });
});
