/** Every source of a Worker, conforming inside a real workerd: what is tested here runs there. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ErrorCode, PronkError } from "../../../src/errors.ts";
import type { ByteSource, SourceFolder } from "../../../src/sources/source.ts";
import { type FaultServer, startFaultServer } from "./fault-server.ts";
import {
  equal,
  FOLDER_OBJECTS,
  LARGE_BYTES,
  sampleBytes,
  testFolder,
  testSource,
} from "./source-conformance.ts";

let miniflare: Miniflare;
let server: FaultServer;
let bucket: Awaited<ReturnType<Miniflare["getR2Bucket"]>>;
let assets: string;
beforeAll(async () => {
  server = await startFaultServer();
  assets = await mkdtemp(join(tmpdir(), "pronk-assets-"));
  await mkdir(join(assets, "f", "shards", "a"), { recursive: true });
  // A Worker's files are there when it starts.
  const files = { ...FOLDER_OBJECTS, large: sampleBytes(LARGE_BYTES), empty: new Uint8Array(0) };
  for (const [name, bytes] of Object.entries(files))
    await writeFile(join(assets, "f", name), bytes);
  const { outputFiles } = await build({
    entryPoints: ["tests/unit/sources/workerd-sources-entry.ts"],
    bundle: true,
    format: "esm",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    write: false,
  });
  miniflare = new Miniflare({
    modules: true,
    script: outputFiles[0]!.text,
    compatibilityDate: "2026-04-01",
    compatibilityFlags: ["enable_request_signal"],
    r2Buckets: ["MODELS"],
    bindings: { SERVER: server.url },
    assets: { directory: assets, binding: "ASSETS", routerConfig: { has_user_worker: true } },
    cf: false,
  });
  bucket = await miniflare.getR2Bucket("MODELS");
}, 60_000);
afterAll(async () => {
  await miniflare?.dispose();
  await server?.close();
  await rm(assets, { recursive: true, force: true });
});

async function ask(query: Record<string, string | number | undefined>): Promise<Response> {
  const url = new URL("http://worker/none");
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(key, String(value));
  }
  const response = (await miniflare.dispatchFetch(url)) as unknown as Response;
  if (response.ok) return response;
  const { code, message, retryAfterMs } = (await response.json()) as {
    code: ErrorCode;
    message: string;
    retryAfterMs?: number;
  };
  throw new PronkError(code ?? "engine_failed", message, { retryAfterMs });
}

/** A folder of the Worker's. */
function remoteFolder(kind: string, prefix: string): SourceFolder {
  return {
    name: `${kind} in workerd`,
    async open(name, signal, size) {
      const aborted = signal?.aborted ? 1 : undefined;
      const answer = await ask({ kind, prefix, name, size, aborted });
      const found = (await answer.json()) as { id: number; name: string; size: number };
      return remoteSource(found);
    },
  };
}

/** A caller that has a signal which has not fired fires it at the first progress. */
function remoteSource({ id, name, size }: { id: number; name: string; size: number }): ByteSource {
  return {
    name,
    size,
    async readInto(destination, start, signal, onProgress) {
      const aborted = signal?.aborted ? 1 : undefined;
      const leave = signal && !signal.aborted ? 1 : undefined;
      const answer = await ask({ id, start, length: destination.length, aborted, leave });
      destination.set(new Uint8Array(await answer.arrayBuffer()));
      const progress = answer.headers.get("x-progress") ?? "";
      for (const bytes of progress.split(",")) onProgress?.(Number(bytes));
    },
  };
}

let prefixes = 0;
/** Puts objects where a kind of source finds them; its folder. */
async function stored(kind: string, objects: Record<string, Uint8Array>): Promise<SourceFolder> {
  if (kind === "assets") return remoteFolder(kind, "f");
  const prefix = `p${prefixes++}`;
  for (const [name, bytes] of Object.entries(objects)) {
    if (kind === "http") server.objects.set(`${prefix}/${name}`, bytes);
    else if (kind === "s3") server.objects.set(`bucket/${prefix}/${name}`, bytes);
    else await bucket.put(`${prefix}/${name}`, bytes);
  }
  return remoteFolder(kind, prefix);
}

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

for (const kind of ["r2", "http", "s3", "assets", "cache"]) {
  testSource(`${kind}, in workerd,`, async (bytes) => {
    const name = kind === "assets" ? (bytes.length > 0 ? "large" : "empty") : `o${prefixes}`;
    return (await stored(kind, { [name]: bytes })).open(name);
  });
  testFolder(`${kind}, in workerd,`, (objects) => stored(kind, objects));
}

let seeds = 100;
testSource("an object of known content behind a cache that has it, in workerd,", async (bytes) => {
  const name = `${hashOf(bytes).slice(0, 60)}${String(seeds++).padStart(4, "0")}.bin`;
  const folder = await stored("cache", { [name]: bytes });
  const source = await folder.open(name, undefined, bytes.length);
  await source.readInto(new Uint8Array(bytes.length), 0);
  return folder.open(name, undefined, bytes.length);
});

describe("a cache, in workerd,", () => {
  test("gives what it has without storage, and is asked no more for what was refused", async () => {
    const bytes = sampleBytes(200_000, 9);
    const name = `${hashOf(bytes)}.bin`;
    const folder = await stored("cache", { [name]: bytes });
    const read = async (): Promise<Uint8Array> => {
      const destination = new Uint8Array(bytes.length);
      await (await folder.open(name, undefined, bytes.length)).readInto(destination, 0);
      return destination;
    };
    expect(equal(await read(), bytes)).toBe(true);
    await bucket.delete(`p${prefixes - 1}/${name}`);
    expect(equal(await read(), bytes)).toBe(true);

    const source = await folder.open(name, undefined, bytes.length);
    await source.readInto(new Uint8Array(bytes.length), 0);
    // Asked again of the same load, it was not what it should be: storage has to say.
    const again = source.readInto(new Uint8Array(bytes.length), 0);
    await expect(again).rejects.toMatchObject({ code: "not_found" });
    await expect(read()).rejects.toMatchObject({ code: "not_found" });
  });

  test("keeps nothing that may change", async () => {
    const folder = await stored("cache", { "manifest.json": sampleBytes(50, 1) });
    const destination = new Uint8Array(50);
    for (const seed of [1, 2]) {
      await bucket.put(`p${prefixes - 1}/manifest.json`, sampleBytes(50, seed));
      await (await folder.open("manifest.json")).readInto(destination, 0);
      expect(equal(destination, sampleBytes(50, seed))).toBe(true);
    }
  });
});
