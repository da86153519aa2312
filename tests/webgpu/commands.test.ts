/** The command line on a GPU, on every runtime that has one, by the packages and drivers that a user would have. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runChild } from "../../src/cli/child.ts";
import { findRuntime, packageRoot } from "../../src/cli/runtimes.ts";
import { lavapipeEnvironment, packageFolder } from "./dawn.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const MODEL = "tests/goldens/tokenizers/tok_bpe.gguf";
const LIMIT_MS = 400_000;

/** Where the optional packages are found that this repository does not install. */
const NODE_PATH = join(packageFolder("webgpu"), "..");

const RUNTIMES: [string, { program: string; args: string[] }, string][] = [
  ["Node", { program: process.execPath, args: [main] }, "mesa/software"],
  [
    "Deno",
    { program: findRuntime("deno"), args: ["run", "-A", "--unstable-webgpu", main] },
    "llvmpipe",
  ],
  ["Bun", { program: findRuntime("bun"), args: ["run", main] }, "mesa/software"],
];

const asked = ["run", MODEL, "--prompt", "Hello", "--max-tokens", "8", "--json"];

/** It has to end by itself: whoever keeps a process alive makes this time out. */
async function answerOf(
  line: { program: string; args: string[] },
  args: readonly string[],
  env: Record<string, string> = { ...lavapipeEnvironment(), NODE_PATH },
): Promise<Record<string, unknown>> {
  return JSON.parse(await runChild(line, [...args], { timeoutMs: LIMIT_MS, env }));
}

describe.each(RUNTIMES)("on %s", (_, line, adapter) => {
  test("pronk run --backend webgpu gives the kernels' tokens, and ends", async () => {
    const kernels = await answerOf(line, [...asked, "--backend", "wasm"]);
    const found = await answerOf(line, [...asked, "--backend", "webgpu"]);
    expect(kernels).toMatchObject({ backend: "wasm" });
    expect(found).toMatchObject({ backend: "webgpu", ids: kernels.ids });
    expect(found.backend_reason).toContain(adapter);
  });

  test("pronk inspect says that auto keeps to the kernels, and why", async () => {
    const { backend } = await answerOf(line, ["inspect", MODEL, "--json"]);
    expect(backend).toMatch(/^wasm: .*llvmpipe.* is a software adapter$/);
  });
});

test("without the package Node says how to get it", async () => {
  const [, node] = RUNTIMES[0];
  const without = { NODE_PATH: "" };
  const { backend, backend_reason } = await answerOf(node, asked, without);
  expect(backend).toBe("wasm");
  expect(backend_reason).toBe("wasm: no WebGPU here without a package: npm install webgpu");
  const running = answerOf(node, [...asked, "--backend", "webgpu"], without);
  await expect(running).rejects.toThrow(/webgpu: no WebGPU here without a package/);
});

test("without a driver Bun's stand-in, which computes nothing, is refused", async () => {
  const [, bun] = RUNTIMES[2];
  const env = { NODE_PATH, VK_DRIVER_FILES: "/nowhere", VK_ICD_FILENAMES: "/nowhere" };
  const { backend_reason } = await answerOf(bun, asked, env);
  expect(backend_reason).toMatch(/^wasm: null-backend computes nothing/);
});
