/** The sources where they matter most: inside workerd, into WebAssembly memory. */
import { createHash } from "node:crypto";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FaultServer, startFaultServer } from "./fault-server.ts";
import { sampleBytes } from "./source-conformance.ts";

const bytes = sampleBytes(8 * 1024 * 1024 + 5);
const sha256 = createHash("sha256").update(bytes).digest("hex");
const KEY = "models/a.bin";

let miniflare: Miniflare;
let server: FaultServer;
beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: ["tests/unit/sources/workerd-entry.ts"],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  miniflare = new Miniflare({
    modules: true,
    script: outputFiles[0]!.text,
    compatibilityDate: "2026-04-01",
    r2Buckets: ["MODELS"],
    cf: false,
  });
  await (await miniflare.getR2Bucket("MODELS")).put(KEY, bytes);
  server = await startFaultServer();
  server.objects.set("a.bin", bytes);
}, 60_000);
afterAll(async () => {
  await miniflare.dispose();
  await server.close();
});

async function ask(query: Record<string, string>): Promise<Record<string, unknown>> {
  const response = await miniflare.dispatchFetch(
    `http://worker/?${new URLSearchParams({ sha256, ...query })}`,
  );
  return (await response.json()) as Record<string, unknown>;
}

/** The default reader of workerd gives chunks of 4 KiB: 2,048 of them here. */
const FEW_READS = 512;

test("an R2 object arrives in large chunks and verified", async () => {
  const { size, reads } = await ask({ r2: KEY });
  expect(size).toBe(bytes.length);
  expect(reads).toBeLessThan(FEW_READS);
});

test("an object that is not there, or not what was asked for, is an error", async () => {
  expect(await ask({ r2: "models/b.bin" })).toEqual({
    code: "not_found",
    message: "r2:models/b.bin: no such object",
  });
  expect(await ask({ r2: KEY, sha256: "0".repeat(64) })).toEqual({
    code: "corrupt",
    message: `r2:${KEY}: SHA-256 ${sha256}, expected ${"0".repeat(64)}`,
  });
});

test("an HTTP object arrives verified, through breaks and busy answers", async () => {
  server.faults.push(
    { kind: "none" },
    { kind: "reset", after: 3_000_000 },
    { kind: "status", status: 503 },
    { kind: "truncate", after: 1_000_000 },
  );
  const { size, reads } = await ask({ http: `${server.url}/a.bin` });
  expect(size).toBe(bytes.length);
  expect(reads).toBeLessThan(FEW_READS);
  expect(server.requests.length).toBe(5);
});
