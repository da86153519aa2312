import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { instantiateKernels, verifyKernels } from "../../../src/backends/wasm/kernel-loader.ts";
import { createTrial } from "../../../src/backends/wasm/kernel-trial.ts";
import {
  compileKernels,
  hashOf,
  hasRelaxedSimd,
  selectKernel,
  TRIAL_HASH,
  type VectorWidth,
} from "../../../src/backends/wasm/kernel-variants.ts";
import { KERNEL_NAMES } from "../../../src/backends/wasm/kernels.gen.ts";
import { RESERVED_BYTES } from "../../../src/backends/wasm/memory-layout.ts";

const DIST = process.env.PRONK_WASM_DIST ?? "wasm/dist";
const read = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(join(DIST, `${name}.wasm`)));
const modules = await compileKernels({ relaxed: read("relaxed"), plain: read("plain") });
const withoutRelaxed = { plain: modules.plain };

/** A module with these functions, none of which does anything, and a __heap_base. */
function emptyKernels(names: readonly string[], heapBase = 0): WebAssembly.Module {
  const number = (value: number): number[] =>
    value < 128 ? [value] : [(value & 127) | 128, ...number(value >> 7)];
  const signed = [(heapBase & 127) | 128, ((heapBase >> 7) & 127) | 128, heapBase >> 14];
  const text = (name: string): number[] => [name.length, ...new TextEncoder().encode(name)];
  const list = (entries: number[][]): number[] => [...number(entries.length), ...entries.flat()];
  const section = (id: number, body: number[]): number[] => [id, ...number(body.length), ...body];
  const exported = names.map((name) => [...text(name), 0, 0]);
  return new WebAssembly.Module(
    Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, list([[0x60, 0, 0]])),
      ...section(2, list([[...text("env"), ...text("memory"), 2, 0, 0]])),
      ...section(3, list([[0]])),
      ...section(6, list([[0x7f, 0, 0x41, ...signed, 0x0b]])),
      ...section(7, list([...exported, [...text("__heap_base"), 3, 0]])),
      ...section(10, list([[2, 0, 0x0b]])),
    ]),
  );
}

describe("selectKernel", () => {
  test("takes simd where relaxed SIMD is missing, and says so", () => {
    const { module, variant, reason } = selectKernel(withoutRelaxed, {
      now: () => performance.now(),
    });
    expect([module, variant]).toEqual([modules.plain, "simd"]);
    expect(reason).toBe(
      "simd: runs everywhere; dot not possible: no relaxed SIMD in this engine; m not possible: no relaxed SIMD in this engine",
    );
  });

  test("knows what every variant gives, so that relaxed kernels need no others to be compared with", () => {
    expect(hashOf(createTrial(modules.plain, "simd").bits())).toBe(TRIAL_HASH);
    const { relaxed } = modules;
    if (relaxed === undefined) return;
    for (const now of [undefined, () => performance.now()]) {
      expect(selectKernel({ relaxed }, { now })).toMatchObject({
        module: relaxed,
        variant: expect.stringMatching(/^(dot|m)$/),
      });
    }
    expect(() => selectKernel({ relaxed }, { variant: "simd" })).toThrow("was not loaded");
  });

  test("refuses to go on with neither", () => {
    expect(() => selectKernel({})).toThrow("no other was loaded");
  });

  test("takes simd when asked for", () => {
    expect(selectKernel(modules, { variant: "simd" })).toMatchObject({
      variant: "simd",
      reason: "simd: as asked for",
    });
  });

  test.each(["dot", "m"] as const)("refuses to run %s where it cannot", (variant) => {
    expect(() => selectKernel(withoutRelaxed, { variant })).toThrowError(
      expect.objectContaining({
        code: "unsupported",
        message: `kernels: ${variant} not possible: no relaxed SIMD in this engine`,
      }),
    );
  });

  test("refuses relaxed kernels whose values are wrong", () => {
    const relaxed = emptyKernels(KERNEL_NAMES.relaxed);
    const { variant, reason } = selectKernel({ ...modules, relaxed });
    expect(variant).toBe("simd");
    expect(reason).toContain("dot refused: wrong values in its first calls");
    expect(() => selectKernel({ ...modules, relaxed }, { variant: "m" })).toThrow(
      "m refused: wrong values in its first calls",
    );
  });

  test("does without a relaxed module of another version", () => {
    const relaxed = emptyKernels(KERNEL_NAMES.relaxed.slice(1));
    const { variant, reason } = selectKernel({ ...modules, relaxed });
    expect(variant).toBe("simd");
    expect(reason).toContain(`missing ${KERNEL_NAMES.relaxed[0]}`);
  });

  describe.skipIf(!hasRelaxedSimd())("where relaxed SIMD runs", () => {
    test.each(["dot", "m"] as const)("takes %s when asked for", (variant) => {
      expect(selectKernel(modules, { variant })).toMatchObject({
        module: modules.relaxed,
        variant,
        reason: `${variant}: as asked for`,
      });
    });

    test("takes m without a clock, and with one that stands still", () => {
      expect(selectKernel(modules).reason).toBe("m: no clock to time with");
      expect(selectKernel(modules, { now: () => 17 }).reason).toBe("m: the clock stands still");
    });

    test("says which vectors relaxed kernels have, where that was a choice", () => {
      const reasonOf = (vectors: VectorWidth, variant?: "simd"): string =>
        selectKernel({ ...modules, vectors }, { variant }).reason;
      expect(reasonOf({ bits: 256 })).toBe("m: no clock to time with; 256-bit vectors");
      expect(reasonOf({ bits: 128 })).toBe("m: no clock to time with");
      const reason = "this CPU has no AVX2";
      expect(reasonOf({ bits: 128, reason })).toBe(
        "m: no clock to time with; 128-bit vectors: this CPU has no AVX2",
      );
      expect(reasonOf({ bits: 256 }, "simd")).toBe("simd: as asked for");
    });

    test("ends with a clock that stops", () => {
      let time = 0;
      expect(selectKernel(modules, { now: () => (time < 10 ? ++time : time) }).variant).not.toBe(
        "",
      );
    });

    test("times all variants with a clock that runs, and names their speeds", () => {
      const { reason } = selectKernel(modules, { now: () => performance.now() });
      expect(reason).toMatch(/^(dot|m|simd): fastest here \(GOP\/s: dot \d+, m \d+, simd \d+\)$/);
    });
  });
});

describe("kernel modules", () => {
  test("are recognized by their exports", () => {
    expect(verifyKernels(modules.plain)).toBe("plain");
    expect(verifyKernels(emptyKernels(KERNEL_NAMES.relaxed))).toBe("relaxed");
  });

  test("of another version are refused by the names they lack", () => {
    const [first, second, ...rest] = KERNEL_NAMES.plain;
    expect(() => verifyKernels(emptyKernels(rest))).toThrowError(
      expect.objectContaining({
        code: "unsupported",
        message: `kernels: plain.wasm: missing ${first}, ${second}; it belongs to another version`,
      }),
    );
  });

  test("are refused when they need more memory than was reserved", () => {
    const memory = new WebAssembly.Memory({ initial: 2 });
    const module = emptyKernels(KERNEL_NAMES.plain, 1000);
    expect(instantiateKernels(module, memory, 1000)).toBeDefined();
    expect(() => instantiateKernels(module, memory, 999)).toThrow(
      "1000 bytes are its own, 999 were reserved",
    );
  });

  test("fit what the backend reserves for them", () => {
    const memory = new WebAssembly.Memory({ initial: 2 });
    expect(instantiateKernels(modules.plain, memory, RESERVED_BYTES)).toBeDefined();
  });

  test("that do not compile are an error, unless it is the relaxed one", async () => {
    const broken = new Uint8Array(8);
    expect(
      (await compileKernels({ relaxed: broken, plain: read("plain") })).relaxed,
    ).toBeUndefined();
    await expect(compileKernels({ relaxed: broken, plain: broken })).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("plain.wasm"),
    });
  });
});
