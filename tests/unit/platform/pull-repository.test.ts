import {
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseModelReference } from "../../../src/hub/model-reference.ts";
import type { PullOptions } from "../../../src/platform/host/fetch-file.ts";
import { HfCacheRepository, hfCacheFolder } from "../../../src/platform/host/hf-cache.ts";
import { pulledModel, pullModel } from "../../../src/platform/host/pull.ts";
import { type HubReference, pullRepository } from "../../../src/platform/host/pull-repository.ts";
import { breakOff } from "../hub/file-server.ts";
import {
  COMMIT,
  gitSha1,
  type HubServer,
  type RepoFile,
  sha256,
  startHubServer,
} from "./hub-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const weights = (seed: number): Uint8Array =>
  Uint8Array.from({ length: 150_000 }, (_, i) => (i * seed + (i >> 7)) & 255);

const first = weights(31);
const second = weights(37);
const index = utf8(
  JSON.stringify({ weight_map: { a: "model-00002.safetensors", b: "model-00001.safetensors" } }),
);
const FILES: Record<string, RepoFile> = {
  "README.md": { bytes: utf8("# no part of the model") },
  "config.json": { bytes: utf8('{"model_type": "llama"}') },
  "tokenizer.json": { bytes: utf8("{}") },
  "model.safetensors.index.json": { bytes: index },
  "model-00001.safetensors": { bytes: first, lfs: true },
  "model-00002.safetensors": { bytes: second, lfs: true },
  "pytorch_model.bin": { bytes: weights(3), lfs: true },
  "../../escape": { bytes: utf8("x") },
};
const WANTED = [
  "config.json",
  "tokenizer.json",
  "model.safetensors.index.json",
  "model-00001.safetensors",
  "model-00002.safetensors",
];

const reference = parseModelReference("hf:owner/any") as HubReference;
const TOKEN = "hf_secret";

let server: HubServer;
beforeEach(async () => {
  server = await startHubServer();
  server.publish("owner/any", FILES);
});
afterEach(() => server.close());

async function options(env: Record<string, string> = {}): Promise<PullOptions> {
  const folder = await temporaryFolder();
  return {
    fetch,
    env: { PRONK_CACHE: folder, HF_ENDPOINT: server.hub.url, HF_TOKEN: TOKEN, ...env },
    limits: { backoffMs: 1, connectTimeoutMs: 10_000 },
  };
}

const repository = ({ env }: PullOptions): HfCacheRepository =>
  new HfCacheRepository(hfCacheFolder(env), "owner/any");

test("a checkpoint's files land in the layout that huggingface_hub reads", async () => {
  const opts = await options();
  const files = await pullRepository(reference, opts);
  const { folder } = repository(opts);
  expect(folder).toMatch(/huggingface\/hub\/models--owner--any$/);
  const snapshot = join(folder, "snapshots", COMMIT);
  expect(files.map(({ path }) => path)).toEqual(WANTED.map((name) => join(snapshot, name)));
  expect((await readdir(snapshot)).sort()).toEqual([...WANTED].sort());
  expect(await readFile(join(folder, "refs", "main"), "utf8")).toBe(COMMIT);

  for (const name of WANTED) {
    const { bytes, lfs } = FILES[name];
    const etag = lfs ? sha256(bytes) : gitSha1(bytes);
    expect(await readlink(join(snapshot, name))).toBe(`../../blobs/${etag}`);
    expect(Buffer.compare(await readFile(join(snapshot, name)), bytes)).toBe(0);
    expect(files.find(({ path }) => path.endsWith(`/${name}`))?.sha256).toBe(sha256(bytes));
  }
  expect((await readdir(join(folder, "blobs"))).length).toBe(WANTED.length);
  expect(pulledModel(files).path).toBe(snapshot);
});

test("the token goes to the hub and to nobody else", async () => {
  await pullRepository(reference, await options());
  expect(server.hub.requests.length).toBeGreaterThan(5);
  expect(server.hub.requests.every((line) => line.endsWith(`Bearer ${TOKEN}`))).toBe(true);
  expect(server.storage.requests.length).toBe(2);
  expect(server.asked().filter((line) => line.includes(TOKEN)).length).toBe(
    server.hub.requests.length,
  );
  expect(server.storage.requests.every((line) => line.endsWith(" -"))).toBe(true);
});

test("what is there is not fetched again: by name nothing is asked, by refresh only the listing", async () => {
  const opts = await options();
  const pulled = await pullModel(reference, opts);
  server.forget();
  expect(await pullModel(reference, opts)).toEqual(pulled);
  expect(server.asked()).toEqual([]);
  expect(await pullModel(reference, { ...opts, refresh: true })).toEqual(pulled);
  expect(server.asked().length).toBe(1);
});

test("a new commit shares the blobs that did not change", async () => {
  const opts = await options();
  await pullRepository(reference, opts);
  const commit = "d".repeat(40);
  const config = utf8('{"model_type": "llama", "vocab_size": 7}');
  server.publish("owner/any", { ...FILES, "config.json": { bytes: config } }, { commit });
  server.forget();
  const files = await pullRepository(reference, opts);
  expect(await readFile(files[0].path, "utf8")).toContain("vocab_size");
  expect(server.asked().length).toBe(2);
  const { folder } = repository(opts);
  expect(await readFile(join(folder, "refs", "main"), "utf8")).toBe(commit);
  expect((await readdir(join(folder, "snapshots"))).sort()).toEqual([COMMIT, commit].sort());
});

test("an interrupted file goes on where it stopped", async () => {
  server.storage.routes.set(`/lfs/${sha256(first)}`, breakOff(first, 60_000, 1));
  const files = await pullRepository(reference, await options());
  expect(Buffer.compare(await readFile(files[3].path), first)).toBe(0);
  expect(server.storage.requests.some((line) => line.includes("bytes=60000-"))).toBe(true);
});

describe("a cache that another tool wrote", () => {
  async function written(): Promise<PullOptions> {
    const opts = await options({ HF_HUB_CACHE: await temporaryFolder() });
    const { folder } = repository(opts);
    const snapshot = join(folder, "snapshots", COMMIT);
    await mkdir(join(folder, "blobs"), { recursive: true });
    await mkdir(join(folder, "refs"), { recursive: true });
    await mkdir(snapshot, { recursive: true });
    await writeFile(join(folder, "refs", "main"), COMMIT);
    for (const name of WANTED) {
      const { bytes, lfs } = FILES[name];
      const etag = lfs ? sha256(bytes) : gitSha1(bytes);
      await writeFile(join(folder, "blobs", etag), bytes);
      await symlink(`../../blobs/${etag}`, join(snapshot, name));
    }
    return opts;
  }

  test("is read offline", async () => {
    const opts = await written();
    const files = await pullModel(reference, {
      ...opts,
      env: { ...opts.env, HF_HUB_OFFLINE: "1" },
    });
    expect(files.map(({ sha256: hash }) => hash)).toEqual(
      WANTED.map((name) => sha256(FILES[name].bytes)),
    );
    expect(server.asked()).toEqual([]);
  });

  test("is used where the hub is down, and its blobs where it is not", async () => {
    const opts = await written();
    expect((await pullRepository(reference, opts)).length).toBe(WANTED.length);
    expect(server.asked().length).toBe(1);
    server.hub.routes.set("/api/models/owner/any/revision/main", (_, response) =>
      response.writeHead(503).end(),
    );
    expect((await pullRepository(reference, opts)).length).toBe(WANTED.length);
  });

  test("is not enough when a shard's link leads nowhere", async () => {
    const opts = await written();
    const { folder } = repository(opts);
    const path = join(folder, "snapshots", COMMIT, "model-00002.safetensors");
    const { unlink } = await import("node:fs/promises");
    await unlink(join(dirname(path), await readlink(path)));
    const env = { ...opts.env, HF_HUB_OFFLINE: "1" };
    await expect(pullRepository(reference, { ...opts, env })).rejects.toThrow(
      "hf:owner/any@main: not in the cache, and HF_HUB_OFFLINE is set",
    );
    await pullRepository(reference, opts);
    expect((await stat(path)).size).toBe(second.length);
  });
});

test("where there are no symbolic links the files are there all the same", async () => {
  const folder = await temporaryFolder();
  const refused = async (): Promise<never> => {
    throw Object.assign(new Error("EPERM"), { code: "EPERM" });
  };
  const cache = new HfCacheRepository(folder, "a/b", refused);
  await mkdir(dirname(cache.blobPath("ab12")), { recursive: true });
  await writeFile(cache.blobPath("ab12"), "content");
  const path = await cache.point(COMMIT, "sub/file.json", "ab12");
  expect((await lstat(path)).isSymbolicLink()).toBe(false);
  expect(await readFile(path, "utf8")).toBe("content");
  expect(await cache.point(COMMIT, "sub/file.json", "ab12")).toBe(path);
  expect(await cache.snapshotFiles(COMMIT)).toEqual(["sub/file.json"]);
});

test("a mirror that lists no hashes tells them in the headers of its files", async () => {
  server.publish("owner/any", FILES, { withoutHashes: true });
  const opts = await options();
  const files = await pullRepository(reference, opts);
  expect(files.length).toBe(WANTED.length);
  expect((await readdir(join(repository(opts).folder, "blobs"))).sort()).toContain(sha256(first));
  expect(server.storage.requests.every((line) => line.endsWith(" -"))).toBe(true);
});

describe("content with another hash is refused and not kept", () => {
  test.each([
    ["beside git", `/lfs/${sha256(first)}`, first, /SHA-256 .* expected/],
    [
      "in git",
      `/owner/any/resolve/${COMMIT}/config.json`,
      FILES["config.json"].bytes,
      /git has as/,
    ],
  ])("%s", async (_, path, bytes, message) => {
    const other = bytes.slice();
    other[5] ^= 1;
    const side = path.startsWith("/lfs") ? server.storage : server.hub;
    side.routes.set(path, (_request, response) => {
      response.setHeader("content-length", other.length);
      response.end(other);
    });
    const opts = await options();
    await expect(pullRepository(reference, opts)).rejects.toMatchObject({
      code: "corrupt",
      message: expect.stringMatching(message),
    });
    const blobs = await readdir(join(repository(opts).folder, "blobs"));
    expect(blobs).not.toContain(sha256(first));
    expect(blobs.filter((name) => name.endsWith(".part"))).toEqual([]);
  });
});

describe("what the hub refuses is said with its reason", () => {
  const refuse = (status: number, code?: string): void => {
    server.hub.routes.set("/api/models/owner/any/revision/main", (_, response) => {
      if (code) response.setHeader("x-error-code", code);
      response.writeHead(status).end();
    });
  };

  test.each([
    [
      401,
      "RepoNotFound",
      "",
      "not_found",
      /no such repository, or a private one; a token in HF_TOKEN may/,
    ],
    [401, "RepoNotFound", TOKEN, "not_found", /the token in HF_TOKEN does not open it/],
    [403, "GatedRepo", TOKEN, "source_failed", /gated: the account of HF_TOKEN has no access yet/],
    [
      401,
      "GatedRepo",
      "",
      "source_failed",
      /gated: ask for access on the repository's page, then set HF_TOKEN/,
    ],
    [404, "RevisionNotFound", "", "not_found", /no such revision/],
    [404, "EntryNotFound", "", "not_found", /no such file/],
    [403, undefined, "", "source_failed", /private or gated/],
    [404, undefined, "", "not_found", /HTTP 404$/],
  ])("%d %s, token %j", async (status, error, token, code, message) => {
    refuse(status, error);
    const failed = pullRepository(reference, await options({ HF_TOKEN: token }));
    await expect(failed).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(failed).rejects.not.toThrow(TOKEN);
  });
});

describe("of a repository", () => {
  const only = (...names: string[]): void =>
    server.publish(
      "owner/any",
      Object.fromEntries(names.map((name) => [name, FILES[name] ?? { bytes: utf8(name) }])),
    );
  const names = async (part?: "model" | "tokenizer"): Promise<string[]> =>
    (await pullRepository(reference, await options(), part)).map(
      ({ path }) => path.split(`${COMMIT}/`)[1],
    );

  test.each([
    [
      "one file of weights goes before an index",
      ["config.json", "model.safetensors", "pytorch_model.bin"],
      ["config.json", "model.safetensors"],
    ],
    ["GGUF goes before a checkpoint", ["config.json", "model.safetensors", "a.gguf"], ["a.gguf"]],
    [
      "Flax is better than nothing",
      ["config.json", "flax_model.msgpack"],
      ["config.json", "flax_model.msgpack"],
    ],
    [
      "Meta's files go together",
      ["params.json", "consolidated.01.pth", "consolidated.00.pth", "tokenizer.model"],
      ["params.json", "tokenizer.model", "consolidated.00.pth", "consolidated.01.pth"],
    ],
    [
      "an adapter is a model of its own",
      ["adapter_config.json", "adapter_model.safetensors"],
      ["adapter_config.json", "adapter_model.safetensors"],
    ],
  ])("%s", async (_, listed, expected) => {
    only(...listed);
    expect(await names()).toEqual(expected);
  });

  test("the tokenizer alone can be had", async () => {
    expect(await names("tokenizer")).toEqual(["config.json", "tokenizer.json"]);
    only("config.json");
    await expect(names("tokenizer")).rejects.toThrow(
      /neither tokenizer\.json nor tokenizer\.model/,
    );
  });

  test("without weights, or with an index of missing files, it is said", async () => {
    only("config.json", "README.md");
    await expect(names()).rejects.toThrow("it has no GGUF files");
    only("config.json", "model.safetensors.index.json", "model-00001.safetensors");
    await expect(names()).rejects.toThrow("model-00002.safetensors is missing");
  });

  test.each([
    ["no JSON", "{", /not JSON/],
    ["no map", "{}", /no weight_map/],
    ["a name that leads elsewhere", '{"weight_map": {"a": "../x"}}', /"\.\.\/x" is no file name/],
    ["a name that is none", '{"weight_map": {"a": 1}}', /1 is no file name/],
  ])("an index with %s is refused", async (_, text, message) => {
    server.publish("owner/any", {
      ...FILES,
      "model.safetensors.index.json": { bytes: utf8(text) },
    });
    await expect(names()).rejects.toThrow(message);
  });
});

test.each([
  [{ HF_HUB_CACHE: "/a", HF_HOME: "/b", PRONK_CACHE: "/c" }, "/a"],
  [{ HF_HOME: "/b", PRONK_CACHE: "/c" }, "/b/hub"],
  [{ PRONK_CACHE: "/c", XDG_CACHE_HOME: "/d" }, "/c/huggingface/hub"],
  [{ XDG_CACHE_HOME: "/d" }, "/d/huggingface/hub"],
])("the cache of %j is %s", (env, folder) => {
  expect(hfCacheFolder(env)).toBe(folder);
});
