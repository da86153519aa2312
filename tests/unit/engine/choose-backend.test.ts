import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { explainBackend } from "../../../src/engine/choose-backend.ts";
import type { GpuPlatform } from "../../../src/engine/gpu-platform.ts";
import { type LoadOptions, loadModel } from "../../../src/engine/load-model.ts";
import { openGguf } from "../../../src/engine/open-gguf.ts";
import type { Runtime } from "../../../src/engine/runtime.ts";
import { memorySource } from "../../../src/sources/memory.ts";

const base: Runtime = {
  kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
  yieldTask: () => new Promise((resolve) => setTimeout(resolve)),
  now: () => performance.now(),
  wallClock: () => 1_700_000_000_500,
  randomSeed: () => 1,
};
const sources = [
  memorySource(new Uint8Array(readFileSync("tests/goldens/tokenizers/tok_bpe.gguf")), "tok"),
];

function load(gpu: Runtime["gpu"], options: LoadOptions = {}) {
  return loadModel({ gguf: sources }, { ...base, gpu }, options);
}

/** A host of GPUs by what opens one. */
const gpus = (open: GpuPlatform["open"]): GpuPlatform => ({
  open,
  backend: () => import("../../../src/engine/gpu-backend.ts"),
});

/** A host of an adapter that says this of itself; whoever asks it for a device fails the test. */
function hostOf(info: Partial<GPUAdapterInfo>): GpuPlatform {
  const names = { vendor: "", architecture: "", device: "", description: "" };
  const adapter = {
    info: { ...names, ...info },
    limits: {},
    requestDevice: () => {
      throw new Error("asked for a device");
    },
  } as unknown as GPUAdapter;
  return gpus(async () => ({ requestAdapter: async () => adapter }));
}

/** Fails when it is asked at all. */
const untouched: GpuPlatform = gpus(() => {
  throw new Error("asked for a GPU");
});

describe("auto runs the kernels, and says why,", () => {
  test.each<[string, Runtime["gpu"], string]>([
    ["where the runtime has no GPUs", undefined, "wasm: this runtime has no WebGPU"],
    ["where the entry says why not", "Workers have no WebGPU", "wasm: Workers have no WebGPU"],
    [
      "where the optional package is missing",
      gpus(async () => "no WebGPU here without a package: npm install webgpu"),
      "wasm: no WebGPU here without a package: npm install webgpu",
    ],
    [
      "where there is no adapter",
      gpus(async () => ({ requestAdapter: async () => null })),
      "wasm: no driver of this machine gives an adapter",
    ],
    [
      "where a driver fails",
      gpus(async () => ({
        requestAdapter: () => Promise.reject(new Error("lost instance")),
      })),
      "wasm: Error: lost instance",
    ],
    [
      "on an adapter that calls itself a fallback",
      hostOf({ device: "some", isFallbackAdapter: true }),
      "wasm: some is a software adapter",
    ],
    [
      "on one that is software by its name",
      hostOf({ description: "llvmpipe (LLVM 15)" }),
      "wasm: llvmpipe (LLVM 15) is a software adapter",
    ],
    [
      "on Chromium's",
      hostOf({ vendor: "google", architecture: "swiftshader" }),
      "wasm: google/swiftshader is a software adapter",
    ],
    [
      "on a stand-in that computes nothing",
      hostOf({ device: "null-backend" }),
      "wasm: null-backend computes nothing: no driver of this machine can be used",
    ],
    [
      "where the adapter gives no device",
      hostOf({ vendor: "acme" }),
      "wasm: acme gives no device: Error: asked for a device",
    ],
  ])("%s", async (_, gpu, reason) => {
    const { info, runner } = await load(gpu);
    expect(info).toMatchObject({ backend: "wasm", backendReason: reason });
    expect(runner.backend).toBe("wasm");
    runner.dispose();
  });

  test.each<[string, LoadOptions, string]>([
    ["a kernel is named", { kernel: "simd" }, "wasm: the kernel simd was asked for"],
    ["memory is counted", { budgetBytes: 64e6 }, "wasm: there is a memory budget"],
    ["stages are asked for", { stages: 2 }, "wasm: stages were asked for"],
  ])("and asks for no GPU where %s", async (_, options, reason) => {
    const { info } = await load(untouched, options);
    expect(info.backendReason).toBe(reason);
  });
});

test.each(["wasm", "reference"] as const)(
  "%s asks for no GPU, and needs no reason",
  async (backend) => {
    const { info } = await load(untouched, { backend });
    expect(info.backend).toBe(backend);
    expect(info.backendReason).toBeUndefined();
  },
);

describe("webgpu fails clearly", () => {
  test.each<[string, Runtime["gpu"], string]>([
    ["where the runtime has no GPUs", undefined, "webgpu: this runtime has none"],
    ["where the entry says why not", "Workers have no WebGPU", "webgpu: Workers have no WebGPU"],
    [
      "where there is no adapter",
      gpus(async () => ({ requestAdapter: async () => null })),
      "webgpu: no driver of this machine gives an adapter",
    ],
    [
      "on a stand-in that computes nothing",
      hostOf({ device: "null-backend" }),
      "webgpu: null-backend computes nothing: no driver of this machine can be used",
    ],
  ])("%s", async (_, gpu, message) => {
    const loading = load(gpu, { backend: "webgpu" });
    await expect(loading).rejects.toMatchObject({ code: "unsupported", message });
  });

  test.each<[string, LoadOptions, string]>([
    ["a kernel", { kernel: "simd" }, "webgpu: the kernel simd was asked for"],
    ["a memory budget", { budgetBytes: 64e6 }, "webgpu: there is a memory budget"],
    ["stages", { stages: 2 }, "webgpu: stages were asked for"],
  ])("beside %s, which only the kernels have", async (_, options, message) => {
    const loading = load(untouched, { backend: "webgpu", ...options });
    await expect(loading).rejects.toMatchObject({ code: "unsupported", message });
  });
});

test("which backend would run a model can be asked without loading it", async () => {
  const model = await openGguf(sources, { quantization: "auto", profile: "default" });
  const gpu = "there is none in this test";
  const runtime = { ...base, gpu };
  const asked = { threads: 1 };
  expect(await explainBackend(model, runtime, asked)).toEqual({ reason: `wasm: ${gpu}` });
  expect(await explainBackend(model, runtime, { ...asked, backend: "reference" })).toEqual({
    reason: "reference: as asked for",
  });
});
