/** How rounds of a comparison become figures, ratios and a page's section. */
import { expect, test } from "vitest";
import { benchDocument, benchPrompt, spreadOf } from "../../../src/cli/bench-workload.ts";

// Plain JavaScript without declarations, so that scripts run unbuilt.
const { ratiosOf, replaceSection, resultTables, summaryOf } = await import(
  new URL("../../../scripts/bench/report.mjs", import.meta.url).href
);
const result = (peer: string, decode: readonly number[]) => ({
  contender: { name: peer, peer, version: "1", runtime: "Node 20", weights: "q4" },
  rounds: decode.map((tps) => ({
    kernel: "dot",
    threads: 1,
    prefill_tps: 2 * tps,
    decode_tps: tps,
    cold_ttft_ms: 1000 / tps,
    rss_mb: 100,
    waited: 0.5,
  })),
});

test("the median of an even number of samples lies between the middle two", () => {
  expect(spreadOf([4, 1, 10, 2])).toEqual({ median: 3, min: 1, max: 10 });
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
});

test("a contender's figures are the median and the ends of its rounds", () => {
  expect(summaryOf(result("pronk", [10, 30, 20]))).toMatchObject({
    prefill_tps: { median: 40, min: 20, max: 60 },
    decode_tps: { median: 20, min: 10, max: 30 },
    waited: { median: 0.5 },
  });
});

test("ratios are divided within a round, so that a slow round does not count against one", () => {
  // By the medians of each side the ratio would be 2/3.
  const [ratio] = ratiosOf([result("pronk", [20, 10, 60]), result("other", [10, 30, 30])]);
  expect(ratio).toMatchObject({
    of: "pronk",
    by: "other",
    decode_tps: { median: 2, min: 1 / 3, max: 2 },
    cold_ttft_ms: { median: 0.5 },
    rss_mb: { median: 1 },
  });
});

test("tables name the machine, every contender and every ratio", () => {
  const results = [result("pronk", [20]), result("other", [10])];
  const tables = resultTables({
    machine: { cpu: "A CPU", cores: 2, memory_gb: 8, system: "Linux 6" },
    core: null,
    model: { name: "m.gguf", bytes: 5, sha256: "ab".repeat(32) },
    date: "2026-01-02",
    rounds: 1,
    reps: 1,
    contenders: results.map(summaryOf),
    ratios: ratiosOf(results),
  });
  expect(tables).toContain("A CPU, 2 cores, 8 GB, Linux 6; not pinned");
  expect(tables).toMatch(/\| pronk +\| +40\.0 \(40\.0 to 40\.0\) \| +20\.0 /);
  expect(tables).toMatch(/\| pronk \/ other \| 2\.00 /);
});

test("a section of a page is replaced, and nothing else", () => {
  const page = "before\n<!-- peers:begin -->\nold\n<!-- peers:end -->\nafter\n";
  const written = replaceSection(page, "peers", "new");
  expect(written).toBe("before\n<!-- peers:begin -->\nnew\n<!-- peers:end -->\nafter\n");
  expect(replaceSection(written, "peers", "new")).toBe(written);
  expect(() => replaceSection("nothing", "peers", "new")).toThrow("peers:begin");
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
