/** Pictures of fixed figures: what they say, and that each mark is at its place. */
import { expect, test } from "vitest";
import { perplexityPicture } from "../../../src/cli/pictures/bench-pictures.ts";
import { plot, roundAxis, shareOf } from "../../../src/cli/pictures/plot.ts";
import { script } from "./script.ts";

const { contextsPicture, isolatePicture, peersPicture, qualityPicture, rooflinePicture } =
  await script("pictures");

const machine = { cpu: "A <CPU>", cores: 2 };
const date = "2026-01-02";

const numbers = (svg: string, pattern: RegExp): number[] =>
  [...svg.matchAll(pattern)].map(([, number]) => Number(number));

function expectWhole(svg: string): void {
  expect(svg).toMatch(/^<svg xmlns="[^"]+" viewBox="0 0 \d+ \d+"/);
  expect(svg).toMatch(/role="img" aria-labelledby="title desc"/);
  expect(svg).toMatch(/<title id="title">[^<]{8,}<\/title>\n<desc id="desc">[^<]{20,}<\/desc>/);
  expect(svg).toContain("prefers-color-scheme: dark");
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  expect(svg.split(/<text/).length).toBe(svg.split("</text>").length);
}

test("an axis holds its values between round ends, and places them in proportion", () => {
  const axis = roundAxis("MB", [92, 97, 143]);
  expect(axis).toMatchObject({ from: 80, to: 160, ticks: [80, 100, 120, 140, 160] });
  expect(shareOf(axis, 100)).toBeCloseTo(0.25);
  expect(shareOf({ label: "", from: 1, to: 100, ticks: [], log: true }, 10)).toBeCloseTo(0.5);
  expect(roundAxis("", [3], true).from).toBe(0);
});

test("peers: two bars a contender, in proportion, with their numbers", () => {
  const round = (decode_tps: number) => ({ decode_tps, prefill_tps: 4 * decode_tps });
  const svg: string = peersPicture({
    machine,
    date,
    contenders: [
      { label: "pronk, Q4_1", peer: "pronk", rounds: [round(100), round(120)] },
      { label: "other & co", peer: "other", rounds: [round(10), round(12)] },
    ],
  });
  expectWhole(svg);
  const [prefill, decode] = numbers(svg, /class="s0[^"]*" x="268"[^>]* width="([\d.]+)"/g);
  const [theirs] = numbers(svg, /class="s1[^"]*" x="268"[^>]* width="([\d.]+)"/g);
  expect(prefill! / decode!).toBeCloseTo(4, 1);
  expect(prefill! / theirs!).toBeCloseTo(10, 1);
  expect(svg).toContain(">440</text>");
  expect(svg).toContain(">11.0</text>");
  expect(svg).toContain("other &amp; co");
  expect(svg).toContain("A &lt;CPU&gt;");
});

test("contexts: a line a contender, its points by the logarithm of the depth", () => {
  const contexts = (speed: number) => [
    { positions: 128, decode_tps: speed },
    { positions: 1024, decode_tps: speed / 2 },
    { positions: 8192, decode_tps: speed / 4 },
  ];
  const rounds = [200, 220, 240].map((speed) => ({ contexts: contexts(speed) }));
  const svg: string = contextsPicture({ machine, date, contenders: [{ label: "pronk", rounds }] });
  expectWhole(svg);
  const [, points = ""] = /<polyline class="s0 line" points="([^"]+)"/.exec(svg) ?? [];
  const [[a, top], [b, middle], [c, low]] = points.split(" ").map((p) => p.split(",").map(Number));
  expect(b! - a!).toBeCloseTo(c! - b!, 0);
  expect(middle! - top!).toBeCloseTo(2 * (low! - middle!), 0);
  for (const label of ["220", "110", "55", "1,024"]) expect(svg).toContain(`>${label}</text>`);
});

test("quality: each form by its weights and its perplexity above the source's", () => {
  const form = (quantization: string | undefined, weights: number, change: number) => ({
    quantization,
    profile: "default",
    kv: "int16",
    memory: { weights },
    texts: [{ name: "optics", change }],
  });
  const svg: string = qualityPicture({
    model: { name: "m.gguf" },
    date,
    texts: [{ name: "optics", use: "report" }],
    forms: [form("q4", 50e6, 0.02), form("q8", 100e6, 0.01), form(undefined, 1, 9)],
  });
  expectWhole(svg);
  const x = numbers(svg, /<circle class="s0" cx="([\d.]+)"/g);
  const y = numbers(svg, /<circle class="s0"[^>]* cy="([\d.]+)"/g);
  expect(x).toHaveLength(2);
  expect(x[0]).toBeLessThan(x[1]!);
  expect(y[0]).toBeLessThan(y[1]!); // higher in the picture
  expect(svg).toContain(">q4 default int16</text>");
  expect(svg).toContain("q8 default int16: 100.0 MB, 1.00 %");
});

test("isolate: weights and the rest add up to the plan, beside the limits", () => {
  const svg: string = isolatePicture({
    date,
    fitting: {
      forms: [
        {
          ...{ ctx: 1024, quantization: "auto", profile: "small", kv: "int8" },
          ...{ has_importance: false, weight_bytes: 90e6, plan_bytes: 108e6 },
        },
      ],
    },
  });
  expectWhole(svg);
  const [weights] = numbers(svg, /<rect class="s0" x="268.0"[^>]* width="([\d.]+)"/g);
  const [rest] = numbers(svg, /<rect class="s1" x="[\d.]+" y="\d+" width="([\d.]+)" height="22"/g);
  expect(weights! / rest!).toBeCloseTo(5, 1);
  const [limit] = numbers(svg, /<line class="limit" x1="([\d.]+)"/g);
  expect(limit).toBeCloseTo(268 + weights! + rest!, 0);
  expect(svg).toContain("1,024 positions, auto small: 108.0 MB");
});

test("roofline: each kernel below its bound, where its operations by byte put it", () => {
  const result = (kernel: string, what: string, best: number, limit: number) => ({
    ...{ kernel, variant: "dot", what, best, limit },
  });
  const svg: string = rooflinePicture({
    machine,
    date,
    runtimes: [
      {
        runtime: "Node 26",
        peaks: { dot: 500 },
        reading: { l2: 100, memory: 50 },
        results: [
          result("gemv_q4", "1536 x 576, 60 MB", 180, 200),
          result("gemv_q4", "1536 x 576, L2", 200, 400),
          result("gemm_q4", "64 x 1536 x 576", 300, 500),
          result("rms_norm", "576", 1, 2),
        ],
      },
    ],
  });
  expectWhole(svg);
  const memory = numbers(svg, /<circle class="s0" cx="([\d.]+)"/g).at(-1); // behind the legend's
  // 4 operations a byte of an axis from 1 to 400, between 72 and 848.
  expect(memory).toBeCloseTo(72 + (Math.log(4) / Math.log(400)) * 776, 0);
  expect(svg).toContain(">q4 x64</text>");
  expect(svg).toContain("peak, 500");
  expect(svg).not.toContain("rms_norm");
});

test("eval: the last point of the line is the perplexity of all tokens", () => {
  const windows = [
    { nll: Math.log(10), tokens: 100 },
    { nll: Math.log(40), tokens: 100 },
  ];
  const svg = perplexityPicture("m.gguf", 101, windows);
  expectWhole(svg);
  expect(svg).toContain("Perplexity 20.0000 over 200 tokens.");
  expect(svg).toContain(">20.00</text>");
});

test("labels of points that lie together do not cover each other", () => {
  const points = [1, 1.01, 1.02, 1.03].map((y, i) => ({ x: 5, y, label: `label ${i}` }));
  const axis = { label: "", from: 0, to: 10, ticks: [] };
  const svg = plot({
    ...{ title: "Together", subtitle: "", description: "Four points at one place, each labelled." },
    ...{ x: axis, y: axis, series: [{ name: "a", points }] },
  });
  const places = [...svg.matchAll(/<text class="small" x="([\d.]+)" y="([\d.]+)"[^>]*>label/g)];
  const boxes = places.map(([, x, y]) => [Number(x), Number(y)]);
  for (const [i, [x, y]] of boxes.entries()) {
    const close = boxes.slice(i + 1).filter(([a, b]) => a === x && Math.abs(b! - y!) < 12);
    expect(close).toEqual([]);
  }
});
