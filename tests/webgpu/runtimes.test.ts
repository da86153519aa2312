/** The same cases on every implementation of WebGPU: naga and Tint, on Mesa's and on Chromium's CPU driver. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KvType } from "../../src/backends/backend.ts";
import { runChild } from "../../src/cli/child.ts";
import { findRuntime, packageRoot } from "../../src/cli/runtimes.ts";
import { lavapipeEnvironment, openDawn, packageFolder } from "./dawn.ts";
import type { CasesAnswer, CasesSetting } from "./programs/cases.ts";

// Plain JavaScript without declarations, so that scripts run unbuilt.
const script = (name: string) =>
  import(new URL(`../../scripts/bench/browser/${name}.mjs`, import.meta.url).href);
const { findChromium } = await script("find-chromium");
const { runPage } = await script("run-page");

const LIMIT_MS = 600_000;
const programs = fileURLToPath(new URL("programs/", import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pronk-webgpu-"));
  await build({
    entryPoints: [join(programs, "cases.ts")],
    outfile: join(folder, "cases.mjs"),
    bundle: true,
    format: "esm",
    target: "es2023",
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const cases = () => pathToFileURL(join(folder, "cases.mjs")).href;

async function inChild(
  program: string,
  args: readonly string[],
  setting: CasesSetting,
): Promise<CasesAnswer> {
  const options = { timeoutMs: LIMIT_MS, env: lavapipeEnvironment() };
  const line = { program, args };
  const answer = JSON.parse(await runChild(line, [JSON.stringify(setting)], options));
  if (answer.error !== undefined) throw new Error(answer.error);
  return answer;
}

interface Implementation {
  readonly adapter: string;
  /** Of operations: more where the driver takes less time to compile them. */
  readonly sizes: readonly string[];
  readonly run: (setting: CasesSetting) => Promise<CasesAnswer>;
}

const IMPLEMENTATIONS: Record<string, Implementation> = {
  "Node, by Dawn": {
    adapter: "llvmpipe",
    sizes: ["one head of two"],
    run: async (setting) => {
      const { runCases } = await import(/* @vite-ignore */ cases());
      return runCases(await openDawn(), setting);
    },
  },
  Deno: {
    adapter: "llvmpipe",
    sizes: ["one head of two", "grouped heads of six"],
    run: (setting) => {
      const args = ["run", "-A", "--unstable-webgpu", join(programs, "deno.mjs"), cases()];
      return inChild(findRuntime("deno"), args, setting);
    },
  },
  "Bun, by Dawn": {
    adapter: "llvmpipe",
    sizes: ["grouped heads of six"],
    run: (setting) => {
      const library = join(packageFolder("bun-webgpu"), "index.js");
      const args = ["run", join(programs, "bun.mjs"), library, cases()];
      return inChild(findRuntime("bun"), args, setting);
    },
  },
  Chromium: {
    adapter: "swiftshader",
    sizes: ["grouped heads of six"],
    run: async (setting) => {
      const { answer } = await runPage({
        chromium: findChromium(),
        mounts: { "/cases.mjs": join(folder, "cases.mjs"), "/dist/": join(packageRoot(), "dist") },
        limitMs: LIMIT_MS,
        gpu: true,
        setting: { task: "answer", module: "/cases.mjs", ...setting },
      });
      return answer;
    },
  },
};

/** f16 pairs keep 11 bits; f32 as in the conformance suite. */
const TOLERANCE: Partial<Record<KvType, number>> = { f32: 3e-6, int16: 1e-3 };

/** Through two layers, whose errors add up. */
const MODEL_TOLERANCE = 1e-5;

describe.each(Object.entries(IMPLEMENTATIONS))("%s", (_, { adapter, sizes, run }) => {
  test("another adapter than the one that is meant is an error", async () => {
    await expect(run({ adapter: "none such", sizes: [], models: [] })).rejects.toThrow(
      /adapter is .*not none such/,
    );
  });

  test("every operation gives the reference's values, over every form of weights", async () => {
    const { ops } = await run({ adapter, sizes, models: [] });
    expect(new Set(ops.map(({ size }) => size))).toEqual(new Set(sizes));
    const failed = ops.filter(({ error, kv }) => !(error < TOLERANCE[kv]!));
    expect(failed).toEqual([]);
  });

  test("a model reads, decodes and runs ahead to the reference's logits and tokens", async () => {
    const { models } = await run({ adapter, sizes: [], models: ["f32", "q4m"] });
    expect(models.map(({ form }) => form)).toEqual(["f32", "q4m"]);
    for (const { errors, chosen, expected } of models) {
      expect(errors).toHaveLength(2);
      for (const error of errors) expect(error).toBeLessThan(MODEL_TOLERANCE);
      expect(chosen).toHaveLength(4);
      expect(chosen).toEqual(expected);
    }
  });
});
