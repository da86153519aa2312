import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadKernels, readKernel } from "../../../src/platform/host/kernels.ts";
import { fixedSimdWidth } from "../../../src/platform/host/simd-width.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import {
  chooseVectorWidth,
  cpuHasAvx2,
  type VectorEngine,
} from "../../../src/platform/node/simd-width.ts";

const tested: VectorEngine = { arch: "x64", v8: "14.6.202.34-node.34", hasAvx2: true };

describe("vectors by themselves", () => {
  test("are of 256 bits on Node 26", () => {
    expect(chooseVectorWidth("auto", tested)).toEqual({ bits: 256 });
  });

  test.each<[string, Partial<VectorEngine>, string]>([
    ["on Node 22", { v8: "12.4.254.21-node.33" }, "V8 12.4 is older than 14.6"],
    ["on Node 24", { v8: "13.6.233.17-node.53" }, "V8 13.6 is older"],
    ["on the last V8 before", { v8: "14.5.201.1-node.1" }, "V8 14.5 is older"],
    ["on the first untested V8", { v8: "14.7.1.2-node.3" }, "V8 14.7 is newer than what was"],
    ["on a later major", { v8: "15.0.1.2-node.3" }, "V8 15.0 is newer than what was tested, 14.6"],
    ["in Electron", { v8: "14.6.202.8-electron.0" }, "is not Node's own"],
    ["on ARM", { arch: "arm64", hasAvx2: undefined }, "not on arm64"],
    ["without AVX2", { hasAvx2: false }, "this CPU has no AVX2"],
    ["where the CPU is not known", { hasAvx2: undefined }, "whether this CPU has AVX2"],
  ])("stay at 128 bits %s, and it is said why", (_, engine, reason) => {
    expect(chooseVectorWidth("auto", { ...tested, ...engine })).toEqual({
      bits: 128,
      reason: expect.stringContaining(reason),
    });
  });
});

describe("256 bits asked for", () => {
  test.each<[string, Partial<VectorEngine>]>([
    ["where it was tested", {}],
    ["on a newer V8", { v8: "15.2.1.2-node.3" }],
    ["where the CPU is not known", { hasAvx2: undefined }],
  ])("are given %s", (_, engine) => {
    expect(chooseVectorWidth(256, { ...tested, ...engine })).toEqual({ bits: 256 });
  });

  test.each<[string, Partial<VectorEngine>, string]>([
    [
      "on an older V8",
      { v8: "13.6.233.17-node.53" },
      "V8 13.6 is older than 14.6, the first that joins vectors rightly",
    ],
    ["on ARM", { arch: "arm64" }, "not on arm64 CPUs"],
    ["without AVX2", { hasAvx2: false }, "this CPU has no AVX2"],
  ])("are refused %s", (_, engine, why) => {
    expect(() => chooseVectorWidth(256, { ...tested, ...engine })).toThrowError(
      expect.objectContaining({ code: "unsupported", message: `simdWidth 256: ${why}` }),
    );
  });

  test("are refused on Deno and Bun, where there is nothing to switch", () => {
    const setSimdWidth = fixedSimdWidth("Bun");
    expect(setSimdWidth("auto")).toEqual({ bits: 128 });
    expect(setSimdWidth(128)).toEqual({ bits: 128 });
    expect(() => setSimdWidth(256)).toThrowError(
      expect.objectContaining({ code: "unsupported", message: "simdWidth 256: not on Bun" }),
    );
  });
});

test("128 bits asked for are given anywhere, without a reason", () => {
  expect(chooseVectorWidth(128, { ...tested, arch: "arm64" })).toEqual({ bits: 128 });
  expect(nodeHost.setSimdWidth(128)).toEqual({ bits: 128 });
});

test("AVX2 is looked up among the first processor's flags", () => {
  const info = (flags: string): string => `processor\t: 0\nflags\t\t: ${flags}\nbugs\t\t: avx2\n`;
  expect(cpuHasAvx2(info("fpu sse2 avx avx2 bmi2"))).toBe(true);
  expect(cpuHasAvx2(info("fpu sse2 avx avx512f not_avx2"))).toBe(false);
  // ARM calls them Features.
  expect(cpuHasAvx2("processor\t: 0\nFeatures\t: fp asimd\n")).toBeUndefined();
  expect(cpuHasAvx2(undefined)).toBeUndefined();
});

test("at 256 bits wide.wasm stands for relaxed.wasm, for threads too", async () => {
  const bytes = (name: string): Uint8Array =>
    new Uint8Array(readFileSync(`wasm/dist/${name}.wasm`));
  const wide = { bits: 256 } as const;
  expect(await readKernel(nodeHost, "relaxed", { bits: 128 })).toEqual(bytes("relaxed"));
  expect(await readKernel(nodeHost, "relaxed", wide)).toEqual(bytes("wide"));
  expect(await readKernel(nodeHost, "plain", wide)).toEqual(bytes("plain"));
  expect((await loadKernels(nodeHost, wide)).vectors).toBe(wide);
});
