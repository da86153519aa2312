/** What was damaged in the cache of downloads: it is not used, and fetched again, once. */
import { createHash } from "node:crypto";
import { readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseModelReference } from "../../../src/hub/model-reference.ts";
import { openSourceModel } from "../../../src/platform/host/open-model.ts";
import { type PullOptions, pullModel, pullVerified } from "../../../src/platform/host/pull.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import { breakOff } from "../hub/file-server.ts";
import { type HubServer, startHubServer } from "./hub-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const bytes = new Uint8Array(
  await readFile(new URL("../../goldens/gguf/Q4_1.gguf", import.meta.url)),
);
const sha256 = createHash("sha256").update(bytes).digest("hex");
const reference = parseModelReference("hf:owner/any:any.gguf");
if (reference.kind === "path") throw new Error("not a path");

let server: HubServer;
beforeEach(async () => {
  server = await startHubServer();
  server.publish("owner/any", { "any.gguf": { bytes, lfs: true } });
});
afterEach(() => server.close());

async function options(more: Record<string, string> = {}): Promise<PullOptions> {
  const folder = await temporaryFolder();
  const env = { PRONK_CACHE: folder, HF_ENDPOINT: server.hub.url, ...more };
  return { fetch, env, limits: { backoffMs: 1, connectTimeoutMs: 2000 } };
}

/** Flips a bit of a file, whose size stays. */
async function damage(path: string): Promise<void> {
  const damaged = await readFile(path);
  damaged[1234]! ^= 1;
  await writeFile(path, damaged);
}

test("a file is compared with its hash before it is loaded or packed, and fetched again", async () => {
  const opts = await options();
  const { path } = (await pullModel(reference, opts))[0]!;
  await damage(path);
  server.forget();
  const {
    input,
    close,
    sha256: found,
  } = await openSourceModel(nodeHost, "hf:owner/any:any.gguf", opts);
  await close();
  expect("gguf" in input && found).toBe(sha256);
  expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
  expect(server.storage.requests.length).toBe(1);

  server.forget();
  await pullVerified(reference, opts);
  expect(server.asked()).toEqual([]);
});

test("offline it is refused, and not there any more", async () => {
  const opts = await options();
  const { path } = (await pullModel(reference, opts))[0]!;
  await damage(path);
  const env = { ...opts.env, HF_HUB_OFFLINE: "1" };
  await expect(pullVerified(reference, { ...opts, env })).rejects.toMatchObject({
    message: "hf:owner/any@main: not in the cache, and HF_HUB_OFFLINE is set",
  });
});

test.each(["large", "small"])(
  "a %s file of a snapshot is compared with its blob's name where no record has its hash",
  async (kind) => {
    const config = {
      bytes: new TextEncoder().encode(`{"model_type": "llama", "x": "${"y".repeat(2000)}"}`),
    };
    server.publish("owner/any", {
      "config.json": config,
      "model.safetensors": { bytes, lfs: true },
    });
    const opts = await options();
    const whole = parseModelReference("hf:owner/any");
    if (whole.kind === "path") throw new Error("not a path");
    const files = await pullModel(whole, opts);
    const path = files
      .map(({ path }) => path)
      .find((name) => name.endsWith(kind === "large" ? ".safetensors" : ".json"))!;
    await damage(await realpath(path));
    await rm(join(opts.env.PRONK_CACHE!, "references"), { recursive: true });
    const env = { ...opts.env, HF_HUB_OFFLINE: "1" };
    await expect(pullModel(whole, { ...opts, env, refresh: true })).rejects.toThrow(
      "not in the cache",
    );
    const again = await pullModel(whole, { ...opts, refresh: true });
    expect(again).toEqual(files);
  },
);

describe("a record that is no list of files", () => {
  test.each([
    "{}",
    "null",
    "[]",
    "[null]",
    '[{"path": 1}]',
    '[{"path":"/etc/hostname","bytes":1}]',
    "[1",
    "",
  ])("%j: the hub is asked", async (text) => {
    const opts = await options();
    const pulled = await pullModel(reference, opts);
    const folder = join(opts.env.PRONK_CACHE!, "references");
    const [name] = await readdir(folder);
    await writeFile(join(folder, name!), text);
    expect(await pullModel(reference, opts)).toEqual(pulled);
  });
});

test("a part that was damaged after an earlier attempt is thrown away, and the file fetched whole", async () => {
  const opts = await options();
  const blob = `/lfs/${sha256}`;
  const serve = server.storage.routes.get(blob)!;
  server.storage.routes.set(blob, breakOff(bytes, 100_000, 1));
  const abort = new AbortController();
  const slow = { ...opts, limits: { ...opts.limits, backoffMs: 60_000 }, signal: abort.signal };
  const first = pullModel(reference, slow);
  setTimeout(() => abort.abort(), 200);
  await expect(first).rejects.toMatchObject({ code: "aborted" });
  const blobs = join(opts.env.PRONK_CACHE!, "huggingface", "hub", "models--owner--any", "blobs");
  const [part] = await readdir(blobs);
  await damage(join(blobs, part!));
  server.storage.routes.set(blob, serve);
  server.forget();
  const { path } = (await pullModel(reference, opts))[0]!;
  expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
  expect(server.storage.requests.map((line) => line.split(" ")[1]!.replace(/\d+/, "N"))).toEqual([
    "bytes=N-",
    "-",
  ]);
  expect(await readdir(dirname(await realpath(path)))).toEqual([sha256]);
});

test("a listing that breaks, stands still or is a page is asked for again", async () => {
  const listing = "/api/models/owner/any/revision/main";
  const serve = server.hub.routes.get(listing)!;
  const wrong: (typeof serve)[] = [
    (_, response) => response.writeHead(503, { "retry-after": "-1" }).end(),
    (_, response) => {
      response.writeHead(200);
      response.write('{"siblings":', () => response.destroy());
    },
    (_, response) => void response.writeHead(200).write('{"siblings":'),
    (_, response) => response.end("<!doctype html>"),
  ];
  for (const answer of wrong) {
    let isFirst = true;
    server.hub.routes.set(listing, (request, response) => {
      (isFirst ? answer : serve)(request, response);
      isFirst = false;
    });
    const opts = await options();
    const limits = { ...opts.limits, stallTimeoutMs: 100 };
    expect(await pullModel(reference, { ...opts, limits })).toMatchObject([{ sha256 }]);
  }
  server.hub.routes.set(listing, (_, response) => response.end("<!doctype html>"));
  await expect(pullModel(reference, await options())).rejects.toMatchObject({
    name: "PronkError",
    code: "source_failed",
    message: expect.stringContaining(`${listing}: the answer is not JSON`),
  });
});
