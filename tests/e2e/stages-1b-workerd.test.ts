/** A model of exactly the shape of Llama 3.2 1B, with random weights, over scripts of workerd: each fits an isolate. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { benchPrompt } from "../../src/cli/bench-workload.ts";
import { commandLineOn, runChild } from "../../src/cli/child.ts";
import { packageRoot, runtimesFolder } from "../../src/cli/runtimes.ts";
import type { StagedWorkerd } from "./staged-workerd.ts";

// Miniflare's own workerd (1.20260426) often spins in V8's sweeper for ever while twelve stages load; a newer one did not.
const workerdName = `@cloudflare/workerd-linux-${process.arch === "arm64" ? "arm64" : "64"}`;
const newer = join(runtimesFolder(), "node_modules", workerdName, "bin", "workerd");
if (existsSync(newer)) process.env.MINIFLARE_WORKERD_PATH = newer;
const { startStagedWorkerd } = await import("./staged-workerd.ts");

// Plain JavaScript without declarations, so that scripts run unbuilt.
const { makeSyntheticPack } = await import(
  new URL("../../scripts/bench/synthetic-pack.mjs", import.meta.url).href
);

/** What an isolate of 128 MB leaves beside JavaScript: as `pronk deploy` plans. */
const STAGE_BYTES = 108_000_000;

/** Of a request to a Worker, by Cloudflare's limits: the front's own is one. */
const MOST_INVOCATIONS = 32;

/** Of a workerd that spins. */
const TRIES = 3;
const HASH_MS = 350_000;

let pack: { readonly path: string; readonly config: { readonly vocab_size: number } };
let started: StagedWorkerd | undefined;
let hash: unknown;

/** Starts until it answers. What it answers is for the tests. */
async function startAnswering(): Promise<void> {
  const sizes = { ctx: 768, slots: 1, maxRows: 64, maxLogits: 64 };
  for (let left = TRIES; ; left--) {
    try {
      started = await startStagedWorkerd(pack.path, sizes, STAGE_BYTES);
      const signal = AbortSignal.timeout(HASH_MS);
      hash = await (await fetch(`${started.url}/hash`, { signal })).json();
      return;
    } catch (error) {
      await started?.close();
      started = undefined;
      if (left === 1 || (error as Error).name !== "TimeoutError") throw error;
      console.warn("workerd did not answer in time and is started again");
    }
  }
}

beforeAll(async () => {
  pack = await makeSyntheticPack("1b", join(packageRoot(), ".cache", "e2e"), console.log);
  await startAnswering();
}, 1_200_000);

afterAll(() => started?.close());

const running = (): StagedWorkerd => {
  if (!started) throw new Error("workerd does not run");
  return started;
};

test("its logits are those of one memory", async () => {
  for (const { memory } of running().plan.stages) {
    expect(memory.total).toBeLessThanOrEqual(STAGE_BYTES);
  }
  const one = ["hash", pack.path, "--json"];
  const answer = await runChild(commandLineOn("node"), one, { timeoutMs: 200_000 });
  const { logits_sha256, ids } = JSON.parse(answer);
  expect(hash).toEqual({ logits_sha256, ids });
});

test("a generation is an invocation a stage, and within what a request may make", {
  timeout: 360_000,
}, async () => {
  const invocations = async (): Promise<number> =>
    (await running().counts()).reduce((sum, count) => sum + count.invocations, 0);
  const before = await invocations();
  const response = await fetch(`${running().url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "synthetic-1b",
      prompt: benchPrompt(16, pack.config.vocab_size, 1),
      max_tokens: 8,
      temperature: 0,
      ignore_eos: true,
      return_token_ids: true,
    }),
    signal: AbortSignal.timeout(270_000),
  });
  const answer = await response.json();
  expect(answer.choices[0].token_ids).toHaveLength(8);
  const stages = running().plan.stages.length;
  expect(stages).toBeGreaterThan(8);
  expect((await invocations()) - before).toBe(stages);
  expect(stages + 1).toBeLessThanOrEqual(MOST_INVOCATIONS);
});
