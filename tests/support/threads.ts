/** Real threads for tests: the thread's file is built once, since Node 20 runs no TypeScript. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { shareModule } from "../../src/backends/wasm/threads/share-module.ts";
import type { ThreadHost } from "../../src/backends/wasm/threads/thread-host.ts";
import { createWasmRunner, type RunnerThreads } from "../../src/backends/wasm/wasm-runner.ts";
import { type PackEntry, planImage } from "../../src/pack/image-plan.ts";
import { packTensors } from "../../src/pack/packer.ts";
import { createThreads } from "../../src/platform/node/threads.ts";
import type { CreateRunner } from "../conformance/backends.ts";
import { type KernelBuild, type ModuleName, moduleOf, variantOf } from "./kernel-builds.ts";

const dist = process.env.PRONK_WASM_DIST ?? "wasm/dist";

export function kernelBytes(name: ModuleName): Uint8Array {
  return new Uint8Array(readFileSync(`${dist}/${name}.wasm`));
}

let built: URL | undefined;

function threadFile(): URL {
  if (built) return built;
  const folder = mkdtempSync(join(tmpdir(), "pronk-thread-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const outfile = join(folder, "thread.mjs");
  buildSync({
    entryPoints: ["src/platform/node/thread.ts"],
    bundle: true,
    platform: "node",
    format: "esm",
    outfile,
  });
  built = pathToFileURL(outfile);
  return built;
}

export function nodeThreads(file: URL = threadFile()): ThreadHost {
  return { ...createThreads(file), readKernels: async (name) => kernelBytes(name) };
}

/** A wasm runner on so many threads, all of them used for every batch. */
export function threaded(
  build: KernelBuild,
  threads: number,
  more: Partial<RunnerThreads> = {},
  { waits = true }: { readonly waits?: boolean } = {},
): CreateRunner {
  const bytes = kernelBytes(moduleOf(build));
  const kernel = {
    module: new WebAssembly.Module(bytes as BufferSource),
    variant: variantOf(build),
  };
  const module = new WebAssembly.Module(shareModule(bytes));
  return async (plan, entries, options) => {
    const { tensors, weightBytes } = planImage(entries as readonly PackEntry[]);
    const now = () => performance.now();
    const beside = { host: nodeThreads(), module, now, fixed: true, ...more };
    const sizes = { ...options, threads };
    const runner = createWasmRunner(plan, tensors, weightBytes, kernel, sizes, beside);
    await packTensors(entries, (offset, data) => runner.weights.set(data, offset));
    if (waits) await runner.ready;
    return runner;
  };
}
