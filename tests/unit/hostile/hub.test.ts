/** Hubs that attack: what they list leads nowhere but into the cache, and is refused with the reason. */
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseModelReference } from "../../../src/hub/model-reference.ts";
import type { PullOptions } from "../../../src/platform/host/fetch-file.ts";
import { type HubReference, pullRepository } from "../../../src/platform/host/pull-repository.ts";
import { AutoTokenizer } from "../../../src/platform/node/index.ts";
import { type FileServer, serveBytes, startFileServer } from "../hub/file-server.ts";
import { gitSha1, sha256 } from "../platform/hub-server.ts";

const REPO = "owner/evil";
const COMMIT = "c0ffee".padEnd(40, "0");
const reference = parseModelReference(`hf:${REPO}`) as HubReference;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

let hub: FileServer;
/** The cache lies deep inside, so that what escapes it is seen. */
let root: string;
let options: PullOptions;
beforeEach(async () => {
  hub = await startFileServer();
  root = await mkdtemp(join(tmpdir(), "pronk-hub-"));
  const env = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: join(root, "a/b/c/d/hub") };
  options = { fetch, env, limits: { backoffMs: 1, connectTimeoutMs: 10_000 } };
});
afterEach(async () => {
  await hub.close();
  await rm(root, { recursive: true, force: true });
});

type Listed = Readonly<Record<string, unknown>>;

function publish(listing: Listed, files: Readonly<Record<string, Uint8Array>>): void {
  hub.routes.set(`/api/models/${REPO}/revision/main`, (_, response) =>
    response.end(JSON.stringify(listing)),
  );
  for (const [name, bytes] of Object.entries(files)) {
    for (const revision of ["main", COMMIT]) {
      hub.routes.set(`/${REPO}/resolve/${revision}/${encodeURI(name)}`, serveBytes(bytes));
    }
  }
}

const file = (rfilename: string, bytes: Uint8Array, more: Listed = {}): Listed => ({
  rfilename,
  size: bytes.length,
  blobId: gitSha1(bytes),
  ...more,
});
const config = utf8('{"model_type": "llama"}');
const weights = utf8("weights");
const lfs = { lfs: { sha256: sha256(weights), size: weights.length } };

/** Everything below the root, but the cache's own layout. */
async function escaped(): Promise<string[]> {
  const all = await readdir(root, { recursive: true });
  return all.filter(
    (name) =>
      !`a/b/c/d/hub/models--owner--evil/`.startsWith(name) &&
      !/^a\/b\/c\/d\/hub\/models--owner--evil(?:\/(?:blobs|refs|snapshots)(?:\/[0-9a-f]{40,64}(?:\/[\w.-]+)?|\/main)?)?$/.test(
        name,
      ),
  );
}

describe("an index names a shard", () => {
  test.each(["../../../../../../../../escape", "/etc/passwd", "..", ".", "a/../../b", "a\\b", ""])(
    "%j: refused",
    async (shard) => {
      const index = utf8(JSON.stringify({ weight_map: { w: shard } }));
      const siblings = [
        file("config.json", config),
        file("model.safetensors.index.json", index),
        file(shard, weights, lfs),
      ];
      publish(
        { sha: COMMIT, siblings },
        {
          "config.json": config,
          "model.safetensors.index.json": index,
        },
      );
      await expect(pullRepository(reference, options)).rejects.toMatchObject({
        code: "bad_format",
        message: expect.stringContaining("is no file name"),
      });
      expect(await escaped()).toEqual([]);
    },
  );
});

describe("a listing", () => {
  const files = { "config.json": config, "model.safetensors": weights };
  const siblings = [file("config.json", config), file("model.safetensors", weights, lfs)];

  test.each([
    ["a commit that is a path", { sha: "../../../../../../../escape", siblings }],
    [
      "a hash that is a path",
      {
        sha: COMMIT,
        siblings: [{ ...siblings[0], blobId: "../../../../../../../escape" }, siblings[1]],
      },
    ],
    [
      "a SHA-256 that is a path",
      { sha: COMMIT, siblings: [siblings[0], { ...siblings[1], lfs: { sha256: "../../escape" } }] },
    ],
  ])("with %s: nothing is written outside of the cache", async (_, listing) => {
    publish(listing, files);
    await pullRepository(reference, options).catch(() => undefined);
    expect(await escaped()).toEqual([]);
  });

  test.each([
    ["a negative size", { ...siblings[1], size: -5 }],
    ["a size of 2^53 - 1", { ...siblings[1], size: Number.MAX_SAFE_INTEGER }],
    ["a size that is text", { ...siblings[1], size: "7" }],
    ["a smaller size than the file's", { ...siblings[1], size: 3 }],
    ["another file's hash", { ...siblings[1], lfs: { sha256: "0".repeat(64) } }],
  ])("with %s is refused", async (_, weightsListed) => {
    publish({ sha: COMMIT, siblings: [siblings[0], weightsListed] }, files);
    await expect(pullRepository(reference, options)).rejects.toMatchObject({ name: "PronkError" });
    expect(await escaped()).toEqual([]);
  });

  test.each([
    ["that nests", `{"siblings": ${"[".repeat(400_000)}${"]".repeat(400_000)}}`, /nested deeper/],
    ["of two million names", `{"siblings": [${"0,".repeat(2_000_000)}0]}`, /more than 600000/],
    ["of 20 MB", " ".repeat(20e6), /more than|bytes/],
  ])("%s is refused", async (_, text, message) => {
    hub.routes.set(`/api/models/${REPO}/revision/main`, (_request, response) => response.end(text));
    await expect(pullRepository(reference, options)).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringMatching(message),
    });
  });
});

test("a cache whose links lead in circles or to no file is as one without them", async () => {
  const folder = join(root, "a/b/c/d/hub/models--owner--evil");
  const snapshot = join(folder, "snapshots", COMMIT);
  await mkdir(snapshot, { recursive: true });
  await mkdir(join(folder, "refs"));
  await writeFile(join(folder, "refs/main"), COMMIT);
  await symlink("config.json", join(snapshot, "config.json"));
  await symlink("..", join(snapshot, "loop"));
  await symlink("/dev/zero", join(snapshot, "tokenizer.json"));
  const offline = { ...options, env: { ...options.env, HF_HUB_OFFLINE: "1" } };
  await expect(pullRepository(reference, offline)).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringContaining("not in the cache"),
  });
  await expect(AutoTokenizer.fromPretrained(snapshot, { env: offline.env })).rejects.toMatchObject({
    name: "PronkError",
  });
});

test.each([
  "hf:../evil",
  "hf:owner/../../x",
  "hf:owner/evil@../../x",
  "hf:owner/evil:../../x",
  "hf:/etc",
  "hf:owner",
])("the name %s is refused", (name) => {
  expect(() => parseModelReference(name)).toThrow("not of the form hf:OWNER/REPO");
});
