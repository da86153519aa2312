/** How rounds of a comparison become figures, ratios, bars and a page's section. */
import { expect, test } from "vitest";
import {
  benchDocument,
  benchPrompt,
  CONTEXT_STEPS,
  contextPrompt,
  contextsDocument,
  contextWork,
  spreadOf,
} from "../../../src/cli/bench-workload.ts";
import { script } from "./script.ts";

const { bestRatiosOf, barsOf, ratioOf, ratiosOf, resultTables, summaryOf } = await script("report");

/** A contender and its rounds, one for each decoding speed. */
function contender(label: string, decode: readonly number[], more: object = {}) {
  const [name, format] = label.split(", ");
  return {
    label,
    name,
    format,
    peer: name,
    version: "1",
    runtime: "Node 20.1.0",
    weights: "its weights",
    rounds: decode.map((tps) => ({
      kernel: "dot",
      kernel_reason: "dot: the fastest",
      threads: 1,
      prefill_tps: 2 * tps,
      decode_tps: tps,
      cold_ttft_ms: 1000 / tps,
      rss_mb: 100,
      waited: 0.5,
    })),
    ...more,
  };
}

const pronk = (decode: readonly number[], format = "Q4_1", role = "newest Node") =>
  contender(`pronk, ${format}`, decode, { role });

const document = (contenders: object[], avx_vnni: boolean | null = true) => ({
  machine: { cpu: "A CPU", cores: 2, memory_gb: 8, system: "Linux 6", avx_vnni },
  core: null,
  model: { name: "m.gguf", bytes: 5, sha256: "ab".repeat(32) },
  date: "2026-01-02",
  rounds: 1,
  reps: 1,
  contenders,
});

test("the median of an even number of samples lies between the middle two", () => {
  expect(spreadOf([4, 1, 10, 2])).toEqual({ median: 3, min: 1, max: 10 });
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
});

test("a contender's figures are the median and the ends of its rounds", () => {
  expect(summaryOf(pronk([10, 30, 20]))).toMatchObject({
    prefill_tps: { median: 40, min: 20, max: 60 },
    decode_tps: { median: 20, min: 10, max: 30 },
    waited: { median: 0.5 },
  });
});

test("ratios are divided within a round, so that a slow round does not count against one", () => {
  // By the medians of each side the ratio would be 2/3.
  const [ratio] = ratiosOf([pronk([20, 10, 60]), contender("other, Q4_1", [10, 30, 30])]);
  expect(ratio).toMatchObject({
    of: "pronk, Q4_1",
    by: "other, Q4_1",
    decode_tps: { median: 2, min: 1 / 3, max: 2 },
    cold_ttft_ms: { median: 0.5 },
    rss_mb: { median: 1 },
  });
});

test("ratios pair contenders on the same file", () => {
  const contenders = [pronk([8]), pronk([9], "Q4_0"), contender("other, Q4_0", [3])];
  expect(ratiosOf(contenders)).toMatchObject([{ of: "pronk, Q4_0", by: "other, Q4_0" }]);
});

test("a peer's fastest format is found for each figure", () => {
  const slowPrefill = contender("other, Q8_0", [6]);
  for (const round of slowPrefill.rounds) round.prefill_tps = 1;
  const [best, ...more] = bestRatiosOf([pronk([12]), contender("other, Q4_1", [4]), slowPrefill]);
  expect(more).toEqual([]);
  expect(best.decode_tps).toMatchObject({ by: "other, Q8_0", ratio: { median: 2 } });
  expect(best.prefill_tps).toMatchObject({ by: "other, Q4_1", ratio: { median: 3 } });
});

test("a figure that one of them did not measure has no ratio and a dash in the tables", () => {
  const blank = contender("other, Q4_1", [10]);
  for (const round of blank.rounds) Object.assign(round, { rss_mb: null });
  expect(ratioOf(pronk([10]), blank, "rss_mb")).toBeNull();
  expect(resultTables(document([pronk([10]), blank]))).toMatch(/\| other, Q4_1 \|.* – \|/);
});

test("a bar takes its contender by role and file, and its peer on the same file", () => {
  const llama = contender("node-llama-cpp, Q4_1", [10]);
  const bars = barsOf(document([pronk([18]), pronk([30], "Q4_0"), llama]));
  expect(bars[0]).toMatchObject({ figure: "decode_tps", atLeast: 1.6, value: 1.8, met: true });
  expect(bars[0].margin).toBeCloseTo(0.125);
  expect(bars[1]).toMatchObject({ figure: "prefill_tps", atLeast: 2.4, value: 1.8, met: false });
  const others = bars.filter((bar: { file: string; peer?: string }) => bar.file === "Q4_0");
  expect(others.every((bar: { value?: number }) => bar.value === undefined)).toBe(true);
});

test("decode has to be ahead of the fastest format of every peer", () => {
  const rivals = [contender("a, Q4_1", [10]), contender("b, q8", [25]), contender("b, q4", [5])];
  const bars = barsOf(document([pronk([20]), ...rivals]));
  const bar = bars.find(({ best }: { best?: boolean }) => best);
  expect(bar).toMatchObject({ against: "b, q8", value: 0.8, met: false });
});

test("bars depend on the CPU's flag; where it is unknown, those that do are left out", () => {
  const contenders = [pronk([12]), contender("node-llama-cpp, Q4_1", [10])];
  const least = (flag: boolean | null) => barsOf(document(contenders, flag))[0];
  expect(least(true)).toMatchObject({ atLeast: 1.6, met: false });
  expect(least(false)).toMatchObject({ atLeast: 1.1, met: true });
  expect(least(null)).toMatchObject({ peer: "every peer" });
});

test("tables say when the machine was busy", () => {
  const quiet = pronk([20]);
  for (const round of quiet.rounds) round.waited = 0.02;
  expect(resultTables(document([quiet]))).not.toContain("busy");
  expect(resultTables(document([pronk([20])]))).toContain("The machine was busy: pronk, Q4_1 ");
});

test("tables name the machine and its flag, contenders, kernels, ratios and margins", () => {
  const tables = resultTables(
    document([pronk([20]), contender("node-llama-cpp, Q4_1", [10], { runtime: "Node 20.1.0" })]),
  );
  expect(tables).toContain("A CPU (avx_vnni), 2 cores, 8 GB, Linux 6; not pinned");
  expect(tables).toMatch(/\| pronk, Q4_1 +\| +40\.0 \(40\.0 to 40\.0\) \| +20\.0 /);
  expect(tables).toContain("kernels dot: the fastest");
  expect(tables).toMatch(/\| pronk, Q4_1 \/ node-llama-cpp, Q4_1 \| 2\.00 /);
  expect(tables).toMatch(
    /decode, by node-llama-cpp +\| +2\.00x \| +at least 1\.60x \| +met by 25 %/,
  );
  expect(tables).toMatch(
    /prefill, by node-llama-cpp +\| +2\.00x \| +at least 2\.40x \| +missed by 17 %/,
  );
  expect(tables).toMatch(/first token, ms +\| +50 \| +at most 350 \| +met by 86 %/);
});

test("a peer's document has the names that pronk bench prints", () => {
  const head = { peer: "x", runtime: "node 20", kernel: "native", threads: 1 };
  const samples = { prefill_tps: [1, 2], decode_tps: [3], cold_ttft_ms: [4], rss_mb: [1.23456] };
  const figures = { prefill_tps: 1.5, decode_tps: 3, cold_ttft_ms: 4, rss_mb: 1.235 };
  const document = benchDocument(head, samples);
  expect(document).toMatchObject({ ...head, ...figures });
  expect(document).toMatchObject({ prefill_tps_min: 1, prefill_tps_max: 2, rss_mb_max: 1.235 });
});

test("prompts are valid ids, and of different rounds share no prefix", () => {
  const ids = benchPrompt(512, 49152, 1);
  expect(ids.every((id) => id >= 0 && id < 49152)).toBe(true);
  expect(ids[0]).not.toBe(benchPrompt(512, 49152, 2)[0]);
  expect(ids.slice(1)).toEqual(benchPrompt(512, 49152, 2).slice(1));
});

test("depths end where the timed steps end, and repetitions differ in the timed chunk alone", () => {
  expect(contextWork(4096)).toEqual({ fill: 4096 - CONTEXT_STEPS - 128, chunk: 128 });
  expect(contextWork(100)).toEqual({ fill: 0, chunk: 100 - CONTEXT_STEPS });
  const { fill } = contextWork(1024);
  const [one, two] = [1, 2].map((rep) => contextPrompt(1024, 49152, rep));
  expect(one).toHaveLength(1024 - CONTEXT_STEPS);
  expect(one.slice(0, fill)).toEqual(two.slice(0, fill));
  expect(one[fill]).not.toBe(two[fill]);
  // A deeper prompt goes on from what is cached of a shallower one.
  expect(contextPrompt(4096, 49152, 0).slice(0, fill)).toEqual(one.slice(0, fill));
});

test("a document of depths has the same names at each", () => {
  const head = { peer: "x", runtime: "node 20", kernel: "native", threads: 1 };
  const samples = [{ positions: 128, prefill_tps: [1, 3], decode_tps: [4] }];
  expect(contextsDocument(head, samples)).toMatchObject({
    ...head,
    contexts: [{ positions: 128, prefill_tps: 2, prefill_tps_max: 3, decode_tps_min: 4 }],
  });
});
