/** Measured sections of pages, and the pictures, from raw figures. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { script } from "./script.ts";

const { readRaw, SECTIONS } = await script("page");
const { replaceSection, sectionOf } = await script("sections");
const { contextsSummarized, contextTables } = await script("contexts-report");
const { concurrencyBars, concurrencyTables } = await script("concurrency-report");
const { prefixBars, prefixTables } = await script("prefix-report");

const head = {
  machine: { cpu: "A <CPU>", cores: 2, memory_gb: 8, system: "Linux 6", avx_vnni: true },
  core: 1,
  model: { name: "m.gguf", bytes: 5 },
  date: "2026-01-02",
  rounds: 2,
  reps: 1,
};

test("a section of a page is replaced, and nothing else", () => {
  const page = "before\n<!-- peers:begin -->\nold\n<!-- peers:end -->\nafter\n";
  const written = replaceSection(page, "peers", "new");
  expect(written).toBe("before\n<!-- peers:begin -->\nnew\n<!-- peers:end -->\nafter\n");
  expect(replaceSection(written, "peers", "new")).toBe(written);
  expect(sectionOf(written, "peers")).toBe("new");
  expect(() => replaceSection("nothing", "peers", "new")).toThrow("peers:begin");
});

test("every measured section of the pages, and every picture, is what the raw figures give", () => {
  let pictures = 0;
  for (const [name, document] of Object.entries(readRaw())) {
    const { page, render, picture, readme } = SECTIONS[name];
    expect(sectionOf(readFileSync(`docs/${page}`, "utf8"), name)).toBe(render(document).trim());
    if (readme) {
      expect(sectionOf(readFileSync("README.md", "utf8"), name)).toBe(readme(document).trim());
    }
    if (!picture) continue;
    const [file, draw] = picture;
    expect(readFileSync(`docs/${file}`, "utf8")).toBe(draw(document));
    // It is shown, with what it says for who does not see it.
    expect(readFileSync(`docs/${page}`, "utf8")).toMatch(
      new RegExp(`!\\[[^\\]]{10,}\\]\\(${file}\\)`),
    );
    pictures++;
  }
  expect(pictures).toBe(5);
});

test("depths are compared with the first one and with a peer, within each round", () => {
  const contender = (label: string, peer: string, rounds: readonly (readonly number[])[]) => ({
    label,
    peer,
    role: peer === "pronk" ? "newest Node" : undefined,
    version: "1",
    runtime: "Node 24.0.0",
    weights: "its weights",
    rounds: rounds.map((speeds) => ({
      kernel: "dot",
      threads: 1,
      contexts: speeds.map((decode_tps, i) => ({
        positions: [128, 4096][i],
        decode_tps,
        prefill_tps: 2 * decode_tps,
      })),
    })),
  });
  const document = {
    ...head,
    contenders: [
      contender("pronk", "pronk", [
        [200, 100],
        [100, 40],
      ]),
      contender("llama", "node-llama-cpp", [
        [100, 25],
        [50, 20],
      ]),
    ],
  };
  const { contenders, ratios, bars } = contextsSummarized(document);
  expect(contenders[0].contexts[1].decode_of_first).toEqual({ median: 0.45, min: 0.4, max: 0.5 });
  expect(contenders[0].contexts[1].decode_ms.median).toBeCloseTo((10 + 25) / 2);
  expect(ratios[1]).toMatchObject({ positions: 4096, decode_tps: { median: 3 } });
  expect(bars).toMatchObject([
    { value: 0.45, atLeast: 0.42, met: true, aimMet: false },
    { value: 3, atLeast: 1, met: true },
  ]);
  expect(contextTables(document)).toMatch(/\| llama +\| +4096 \|/);
});

const spread = (median: number) => ({ median, min: median - 1, max: median + 1 });
const onNodes = (of: (runtime: string) => object) => ({
  ...head,
  runs: ["Node 20.1.0", "Node 26.0.0"].map((runtime) => ({
    model: "m",
    runtime,
    rounds: 2,
    kernel_reason: "dot: fastest here",
    ...of(runtime),
  })),
});

test("several streams are judged by the ratio of their kind, on each Node by its own bar", () => {
  const row = (name: string, ratio: number) => ({
    name,
    one_tps: spread(100),
    all_tps: spread(100 * ratio),
    ratio: spread(ratio),
  });
  const measured = (streams: number) =>
    onNodes((runtime) => ({
      streams,
      positions: 208,
      rows: [
        row("batches alone (the kernels' bound)", 9),
        row("greedy", runtime.includes("20.") ? 1.2 : 1.4),
        row("sampled, top_p 0.9", runtime.includes("20.") ? 1.1 : 1.6),
      ],
    }));
  expect(concurrencyBars(measured(8))).toMatchObject([
    { ours: "newest Node", value: 1.4, met: false },
    { ours: "Node 20", value: 1.2, met: true },
    { ours: "newest Node", value: 1.6, met: true },
    { ours: "Node 20", value: 1.1, met: false },
  ]);
  for (const bar of concurrencyBars(measured(4))) expect(bar.value).toBeUndefined();
  const text: string = concurrencyTables(measured(8));
  expect(text).toMatch(/\| greedy +\| +100\.0 .*\| +1\.20 \(/);
  expect(text).toContain("Node 26.0.0: kernels dot: fastest here.");
});

test("second turns and snapshots are judged by their share of the first turn, round by round", () => {
  const measured = (tokens: number) =>
    onNodes(() => ({
      tokens,
      snapshot_bytes: 24e6,
      first: spread(1000),
      second: spread(40),
      snapshot: spread(120),
      second_share: { median: 0.04, min: 0.03, max: 0.05 },
      snapshot_share: { median: 0.12, min: 0.1, max: 0.14 },
    }));
  expect(prefixBars(measured(1000))).toMatchObject([
    { value: 4, met: true },
    { value: 12, met: false },
    { value: 4, met: true },
    { value: 12, met: false },
  ]);
  for (const bar of prefixBars(measured(500))) expect(bar.value).toBeUndefined();
  const text: string = prefixTables(measured(1000));
  expect(text).toMatch(/\| second turn +\| +40\.0 .*\| +4\.0 \(3\.0 to 5\.0\) % \|/);
  expect(text).toContain("from a file of 24.0 MB");
});
