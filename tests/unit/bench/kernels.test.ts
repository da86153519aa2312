/** What the kernels' speed is compared with, and the tables of it. */
import { expect, test } from "vitest";
import { script } from "./script.ts";

const { createLimits } = await script("kernel-limits");
const { kernelTables } = await script("kernels-report");

const memory = new WebAssembly.Memory({ initial: 2 });

test("the loops of the limits do what they are said to do", () => {
  // Two milliseconds a call: the figures then say how much work a call was taken for.
  const calls: (() => number)[] = [];
  const time = (call: () => number) => {
    calls.push(call);
    return { best: 2 };
  };
  const limits = createLimits(time, memory, 65_536);
  // 24 sums at most, 1000 rounds, 16 operations, in 2 ms.
  expect(limits.peak("simd")).toBe((24 * 1000 * 16) / 2 / 1e6);
  expect(limits.peak("f32")).toBe((24 * 1000 * 8) / 2 / 1e6);
  for (const call of calls) expect(Number.isInteger(call())).toBe(true);
  calls.length = 0;
  expect(limits.reading(65_536)).toBe(65_536 / 2 / 1e6);
  // Each byte counts: the loop's result is the exclusive or of all vectors' first words.
  const words = new Int32Array(memory.buffer, 65_536, 16_384);
  expect(calls[0]!()).toBe(0);
  words[0] = 0b0011;
  words[16_384 - 4] = 0b0101;
  expect(calls[0]!()).toBe(0b0110);
  words.fill(0);
});

test("a limit is measured once, however many kernels ask for it", () => {
  let times = 0;
  const limits = createLimits(() => ({ best: ++times }), memory, 0);
  expect(limits.reading(4096)).toBe(limits.reading(4096));
  expect(times).toBe(1);
});

test("tables have a column a variant and width, and the share of the limit", () => {
  const result = (variant: string, kernel: string, best: number) => ({
    kernel,
    variant,
    what: "1536 x 576, L2",
    unit: "GOP/s",
    best,
    median: best,
    limit: 200,
    bound: "products",
    share: best / 200,
  });
  const newest = {
    runtime: "Node 24.1.0",
    peaks: { dot: 262, m: 230, simd: 114, f32: 64 },
    reading: { l2: 110, memory: 37 },
    results: [
      result("dot", "gemv_q4", 110),
      result("simd", "gemv_q4", 60),
      { ...result("relaxed", "matmul_f32", 40), what: "1 x 1536 x 576" },
      { ...result("plain", "matmul_f32", 30), what: "1 x 1536 x 576" },
      { kernel: "argmax", variant: "relaxed", what: "9", unit: "ns each", best: 0.25, median: 1 },
    ],
  };
  const joined = {
    runtime: "Node 24.1.0, 256 bits",
    peaks: { dot: 532, m: 486, simd: 242, f32: 135 },
    reading: { l2: 136, memory: 38 },
    results: [
      { ...result("dot", "gemv_q4", 150), share: 0.5 },
      { ...result("wide", "matmul_f32", 45), what: "1 x 1536 x 576" },
      { kernel: "argmax", variant: "wide", what: "9", unit: "ns each", best: 0.2, median: 1 },
    ],
  };
  const old = {
    runtime: "Node 20.2.0",
    peaks: { simd: 106, f32: 60 },
    reading: { l2: 100, memory: 36 },
    results: [result("simd", "gemv_q4", 50)],
  };
  const tables = kernelTables({
    machine: { cpu: "A CPU", cores: 2, avx_vnni: true },
    core: 1,
    date: "2026-01-02",
    runtimes: [joined, newest, old],
  });
  expect(tables).toContain("A CPU (avx_vnni), one core of 2; 2026-01-02");
  expect(tables).toMatch(
    /\| +Node 24 dot, 256 bits \| Node 24 dot \| Node 24 simd \| Node 20 simd \|/,
  );
  expect(tables).toMatch(
    /gemv q4, 1536 x 576, L2 +\| +150 \(50 %\) \| +110 \(55 %\) \| +60 \(30 %\) \| +50 \(25 %\) \|/,
  );
  expect(tables).toMatch(
    /matmul f32, 1 x 1536 x 576 +\| +45 \(23 %\) \| +40 \(20 %\) \| +30 \(15 %\) \| +\|/,
  );
  expect(tables).toMatch(/\| Node 20\.2\.0 +\| +– \| +– \| +106 \| +60 \| +100 \| +36 \|/);
  expect(tables).toMatch(/\| Node 24\.1\.0, 256 bits \| +532 \| +486 \|/);
  expect(tables).toContain("Node 24.1.0, 256 bits, wide module: argmax (9) 0.20.");
});
