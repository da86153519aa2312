/** Models by URLs that say what their bytes have to be: `https://host/model.gguf#sha256=HEX`. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseModelReference } from "../../../src/hub/model-reference.ts";
import { openAdapterFolder as openAdapterByRanges } from "../../../src/platform/browser/open-adapter.ts";
import { openModel as openByRanges } from "../../../src/platform/browser/open-model.ts";
import { openAdapterFolder } from "../../../src/platform/host/open-adapter.ts";
import { openModel, openSourceModel } from "../../../src/platform/host/open-model.ts";
import { type PullOptions, pullModel, pullVerified } from "../../../src/platform/host/pull.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import { LlamaTokenizer } from "../../../src/platform/node/index.ts";
import { openByFetch } from "../../../src/platform/web-opener.ts";
import { pronk } from "../cli/fake-cli.ts";
import { type FileServer, serveBytes, startFileServer } from "../hub/file-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const bytes = new Uint8Array(
  await readFile(new URL("../../goldens/gguf/Q4_1.gguf", import.meta.url)),
);
const other = bytes.slice();
other[1234]! ^= 1;

let server: FileServer;
let url: string;
beforeEach(async () => {
  server = await startFileServer();
  url = `${server.url}/tiny.gguf`;
  server.routes.set("/tiny.gguf", serveBytes(bytes));
});
afterEach(() => server.close());

async function options(): Promise<PullOptions> {
  const env = { PRONK_CACHE: await temporaryFolder() };
  return { fetch, env, limits: { backoffMs: 1, connectTimeoutMs: 2000 } };
}

function pinned(wanted: Uint8Array, of = url) {
  const reference = parseModelReference(`${of}#sha256=${hashOf(wanted)}`);
  if (reference.kind === "path") throw new Error("not a path");
  return reference;
}

function plain() {
  const reference = parseModelReference(url);
  if (reference.kind === "path") throw new Error("not a path");
  return reference;
}

/** Files that have their names: neither records nor what is half-written. */
async function kept(opts: PullOptions): Promise<string[]> {
  const names = await readdir(opts.env.PRONK_CACHE!, { recursive: true });
  return names.filter((name) => name.endsWith(".gguf"));
}

describe("pulled", () => {
  test("the bytes that are named are taken, then found in the cache without a request", async () => {
    const opts = await options();
    const pulled = await pullModel(pinned(bytes), opts);
    expect(pulled).toMatchObject([{ bytes: bytes.length, sha256: hashOf(bytes) }]);
    expect(server.requests).toEqual(["/tiny.gguf - -"]);

    server.requests.length = 0;
    expect(await pullVerified(pinned(bytes), { ...opts, refresh: true })).toEqual(pulled);
    expect(server.requests).toEqual([]);
  });

  test("others are refused by URL, expected and found, and nothing of them is kept", async () => {
    const opts = await options();
    const of = `${url}?signature=secret`;
    await expect(pullVerified(pinned(other, of), opts)).rejects.toMatchObject({
      code: "corrupt",
      message: `${url}: SHA-256 ${hashOf(bytes)}, expected ${hashOf(other)}`,
    });
    expect(await kept(opts)).toEqual([]);
    const [folder] = await readdir(join(opts.env.PRONK_CACHE!, "urls"));
    expect(await readdir(join(opts.env.PRONK_CACHE!, "urls", folder!))).toEqual([]);
  });

  test("what an unpinned pull has kept is used where it is what is named", async () => {
    const opts = await options();
    const pulled = await pullModel(plain(), opts);
    server.requests.length = 0;
    expect(await pullModel(pinned(bytes), opts)).toEqual(pulled);
    expect(server.requests).toEqual([]);
  });

  test("what is kept with another hash is not used, but fetched again", async () => {
    const opts = await options();
    const { path } = (await pullModel(plain(), opts))[0]!;
    await expect(pullModel(pinned(other), opts)).rejects.toMatchObject({ code: "corrupt" });
    expect(hashOf(await readFile(path))).toBe(hashOf(bytes));

    server.routes.set("/tiny.gguf", serveBytes(other));
    expect(await pullModel(pinned(other), opts)).toMatchObject([{ path, sha256: hashOf(other) }]);
    expect(hashOf(await readFile(path))).toBe(hashOf(other));
    expect(await readdir(dirname(path))).toEqual(["tiny.gguf"]);
  });

  test("offline, a kept file with another hash is none", async () => {
    const opts = await options();
    await pullModel(plain(), opts);
    const env = { ...opts.env, HF_HUB_OFFLINE: "1" };
    await expect(pullModel(pinned(other), { ...opts, env })).rejects.toMatchObject({
      code: "source_failed",
      message: `${url}: not in the cache with SHA-256 ${hashOf(other)}, and HF_HUB_OFFLINE is set`,
    });
    expect(await pullModel(pinned(bytes), { ...opts, env })).toMatchObject([{}]);
  });
});

describe("opened", () => {
  test("its pack needs neither file nor request any more", async () => {
    const opts = await options();
    const name = `${url}#sha256=${hashOf(bytes)}`;
    const { sha256, close } = await openSourceModel(nodeHost, name, opts);
    await close();
    expect(sha256).toBe(hashOf(bytes));
    await openModel(nodeHost, name, opts);
    await server.close();
    const again = await openModel(nodeHost, name, opts);
    expect("pack" in again.input).toBe(true);
    server = await startFileServer();
  });

  test("other bytes are no model, whatever weights are asked for", async () => {
    for (const quantization of ["auto", "none"] as const) {
      const opts = { ...(await options()), quantization };
      const name = `${url}#sha256=${hashOf(other)}`;
      await expect(openModel(nodeHost, name, opts)).rejects.toMatchObject({ code: "corrupt" });
      expect(await readdir(opts.env.PRONK_CACHE!)).not.toContain("packs");
    }
  });

  const refusals: readonly [string, string, (name: string) => Promise<unknown>][] = [
    ["a pack", "/pack", async (name) => openModel(nodeHost, name, await options())],
    [
      "a folder of classes",
      "/pack",
      async (name) => LlamaTokenizer.fromPretrained(name, { fetch }),
    ],
    ["an adapter", "/adapter", async (name) => openAdapterFolder(nodeHost, name, await options())],
    ["a pack in a page", "/pack", async (name) => openByRanges(name, { fetch })],
    ["an adapter in a page", "/adapter", async (name) => openAdapterByRanges(name, { fetch })],
    ["a folder of a Worker", "/pack", async (name) => openByFetch(name, { part: "model", fetch })],
    [
      "a file of a Worker",
      "/tiny.gguf",
      async (name) => openByFetch(name, { part: "model", fetch }),
    ],
    ["a file that is read by ranges", "/tiny.gguf", async (name) => openByRanges(name, { fetch })],
  ];
  test.each(refusals)("%s has no hash of its own, which is said", async (_, path, open) => {
    const opened = open(`${server.url}${path}?key=secret#sha256=${hashOf(bytes)}`);
    await expect(opened).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(
        new RegExp(`^${server.url}${path}: #sha256= cannot be checked: .*(folder|ranges)`),
      ),
    });
    expect(server.requests).toEqual([]);
  });
});

describe("on the command line", () => {
  test("a mismatch ends with 1, and the next step is no further try", async () => {
    const { env } = await options();
    const name = `${url}?key=secret#sha256=${hashOf(other)}`;
    for (const args of [["pull", name], ["pull"]]) {
      const all = { ...env, ...(args.length === 1 && { PRONK_MODEL: name }) };
      const { code, out, err } = await pronk(args, { env: all });
      expect([code, out]).toEqual([1, ""]);
      expect(err).toContain(`${url}: SHA-256 ${hashOf(bytes)}, expected ${hashOf(other)}`);
      expect(err).toContain("next: what the server has is not what #sha256= names");
      expect(err).not.toContain("secret");
    }
  });
});
