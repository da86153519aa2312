/** The same bits everywhere: one hash over 716 rows of logits; how they are computed, over 166. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commandLineOn, runChild } from "../../src/cli/child.ts";
import type { HashDocument } from "../../src/cli/hash.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { cpuHasAvx2 } from "../../src/platform/node/simd-width.ts";
import { REAL_MODEL, readGoldenHashes } from "../support/logits-hashes.ts";
import { DEFAULT_PACK, MODEL_FILE, SMALL_PACK } from "./environment.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const thisNode = { program: process.execPath, args: [main] };
const newerNode = commandLineOn("node");

/** Those that the newer Node has on this CPU. */
const hasAvx2 = process.platform === "linux" && cpuHasAvx2(readFileSync("/proc/cpuinfo", "latin1"));
const SIMD_WIDTHS = process.arch === "x64" && hasAvx2 ? [128, 256] : [128];

const hash = async (
  model: string,
  options: readonly string[] = [],
  line: { program: string; args: readonly string[] } = thisNode,
) =>
  JSON.parse(await runChild(line, ["hash", model, ...options, "--json"], { timeoutMs: 600_000 }));

const known = hash(DEFAULT_PACK);

/** Ways to compute it are compared by another hash, of fewer positions: a third of the time. */
const SHORT = ["--positions", "150"];
const knownShort = hash(DEFAULT_PACK, SHORT);

test("the hash is the one that the tree keeps for this version of the numbers", async () => {
  const { logits_sha256, numbers_version } = await known;
  const golden = readGoldenHashes().find(({ version }) => version === numbers_version);
  expect(golden?.hashes[REAL_MODEL]).toBe(logits_sha256);
});

test("every runtime gives one hash and the same greedy ids", async () => {
  const runs = await hash(DEFAULT_PACK, ["--runtime", "all"]);
  const { logits_sha256, ids } = await known;
  expect(new Set(runs.map((run: { runtime: string }) => run.runtime))).toEqual(
    new Set(["node", "deno", "bun", "workerd"]),
  );
  for (const run of runs) expect(run).toMatchObject({ logits_sha256, ids });
  const nodes = runs.filter(({ runtime }: HashDocument) => runtime === "node");
  expect(new Set(nodes.map((run: HashDocument) => run.simd_width))).toEqual(new Set(SIMD_WIDTHS));
  // Otherwise one kernel would have been compared with itself.
  expect(new Set(runs.map((run: { kernel: string }) => run.kernel)).size).toBeGreaterThan(1);
});

/** Of the two modules the other one's kernels give the same bits, as the tests of all variants say. */
test.each([
  ["chunks of 1", ["--chunk", "1"], newerNode],
  ["chunks of 7", ["--chunk", "7"], thisNode],
  ["a batch of 3 equal sequences", ["--batch", "3", "--chunk", "5"], thisNode],
  ["steps that are run ahead", ["--speculate"], thisNode],
  ["steps that are run ahead, after chunks of 3", ["--speculate", "--chunk", "3"], newerNode],
])("%s give the same hash", async (_, options, line) => {
  const { logits_sha256 } = await knownShort;
  expect(await hash(DEFAULT_PACK, [...SHORT, ...options], line)).toMatchObject({ logits_sha256 });
});

test("chunks of 512 give the same hash", async () => {
  const { logits_sha256 } = await known;
  expect(await hash(DEFAULT_PACK, ["--chunk", "512"], newerNode)).toMatchObject({ logits_sha256 });
});

const deno = commandLineOn("deno");
const bun = commandLineOn("bun");

test.each([
  ["2 threads", ["--threads", "2"], [thisNode, newerNode, deno, bun]],
  ["2 threads and a batch of 3", ["--threads", "2", "--batch", "3"], [newerNode]],
  ["3 threads and chunks of 7", ["--threads", "3", "--chunk", "7"], [thisNode, bun]],
])("%s give the same hash", async (_, options, lines) => {
  const { logits_sha256 } = await knownShort;
  const threads = Number(options[1]);
  for (const line of lines) {
    expect(await hash(DEFAULT_PACK, [...SHORT, ...options], line)).toMatchObject({
      logits_sha256,
      threads,
    });
  }
});

test("2 sequences whose steps are run ahead give the same hash on every runtime", async () => {
  const { logits_sha256, ids } = await knownShort;
  const options = [...SHORT, "--runtime", "all", "--batch", "2", "--speculate"];
  const runs = await hash(DEFAULT_PACK, options);
  const names = runs.map((run: { runtime: string }) => run.runtime);
  expect(new Set(names)).toEqual(new Set(["node", "deno", "bun", "workerd"]));
  const how = { batch: 2, speculate: true };
  for (const run of runs) expect(run).toMatchObject({ logits_sha256, ids, ...how });
});

test("every kernel variant gives the same hash, at each width of vectors", async () => {
  const { logits_sha256 } = await knownShort;
  for (const simd_width of SIMD_WIDTHS) {
    for (const kernel of ["dot", "m", "simd"]) {
      const options = [...SHORT, "--kernel", kernel, "--simd-width", String(simd_width)];
      expect(await hash(DEFAULT_PACK, options, newerNode)).toMatchObject({
        logits_sha256,
        kernel,
        simd_width,
      });
    }
  }
});

test("a GGUF file that is packed in memory gives the pack's hash", async () => {
  const { logits_sha256 } = await knownShort;
  expect(await hash(MODEL_FILE, SHORT)).toMatchObject({ logits_sha256 });
});

test("the small form is another model, and also the same on Node and workerd", async () => {
  const { logits_sha256 } = await hash(SMALL_PACK, SHORT);
  expect(logits_sha256).not.toBe((await knownShort).logits_sha256);
  expect(await hash(SMALL_PACK, [...SHORT, "--runtime", "workerd"])).toMatchObject({
    logits_sha256,
  });
});
