import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Wrangler } from "../../../../src/cli/deploy/wrangler.ts";
import { wranglerBucket } from "../../../../src/cli/deploy/wrangler-bucket.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pronk-wrangler-bucket-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const object = {
  key: "manifest.json",
  bytes: new Uint8Array([1, 2, 3]),
  contentType: "application/json",
  immutable: false,
} as const;

/** wrangler that fails so before it succeeds. */
function failing(messages: readonly string[]): { wrangler: Wrangler; runs: string[][] } {
  const runs: string[][] = [];
  const run = async (args: readonly string[]): Promise<string> => {
    runs.push([...args]);
    const message = messages[runs.length - 1];
    if (message !== undefined) throw new Error(message);
    return "";
  };
  return { wrangler: { run } as unknown as Wrangler, runs };
}

const write = (wrangler: Wrangler): Promise<void> =>
  wranglerBucket(wrangler, { bucket: "models", prefix: "p", folder }).write(
    object as never,
    AbortSignal.timeout(20_000),
  );

test.each([
  "wrangler r2 object put: put: Unspecified error (0)",
  "wrangler r2 object put: Network connection lost.",
])("what R2 fails with in passing is tried again: %s", async (message) => {
  const { wrangler, runs } = failing([message]);
  await write(wrangler);
  expect(runs.length).toBe(2);
  expect(runs[0].slice(0, 4)).toEqual(["r2", "object", "put", "models/p/manifest.json"]);
});

test("what stays so, and what another try does not mend, is told", async () => {
  const passing = failing(Array(9).fill("put: Unspecified error (0)"));
  await expect(write(passing.wrangler)).rejects.toThrow("Unspecified error");
  expect(passing.runs.length).toBe(3);
  const refused = failing(["Authentication error [code: 10000]"]);
  await expect(write(refused.wrangler)).rejects.toThrow("Authentication error");
  expect(refused.runs.length).toBe(1);
});

test("on this machine one process at a time has the database", () => {
  const { wrangler } = failing([]);
  const place = { bucket: "models", prefix: "p", folder };
  expect(wranglerBucket(wrangler, { ...place, local: folder }).lanes).toBe(1);
  expect(wranglerBucket(wrangler, place).lanes).toBe(2);
});
