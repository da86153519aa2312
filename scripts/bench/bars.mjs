/**
 * What the figures have to reach, and by how much they do. A bar compares one of our contenders, by
 * role and file, with a peer (`peer`: on the same file; `peer` and `best`: in its fastest format) or
 * stands by itself (`atMost`, or a figure that is a ratio already).
 */

import { table } from "./tables.mjs";

/** Bars of CPUs with the flag avx_vnni, without it, and of any. */
const WITH = true;
const WITHOUT = false;

const ratio = (flag, ours, file, peer, prefill, decode) => [
  { flag, ours, file, peer, figure: "decode_tps", ...decode },
  { flag, ours, file, peer, figure: "prefill_tps", ...prefill },
];

/** Of `npm run bench -- peers`. `aim` is what is hoped for beyond `atLeast`. */
export const PEER_BARS = [
  ...ratio(
    WITH,
    "newest Node",
    "Q4_1",
    "node-llama-cpp",
    { atLeast: 2.4, aim: 2.65 },
    { atLeast: 1.6, aim: 1.8 },
  ),
  ...ratio(WITH, "newest Node", "Q4_1", "wllama", { atLeast: 22 }, { atLeast: 13 }),
  ...ratio(
    WITH,
    "newest Node",
    "Q4_0",
    "node-llama-cpp",
    { atLeast: 0.95, aim: 1 },
    { atLeast: 1.25 },
  ),
  ...ratio(WITH, "Node 20", "Q4_1", "node-llama-cpp", { atLeast: 1.25 }, { atLeast: 1.08 }),
  ...ratio(WITH, "Bun", "Q4_1", "node-llama-cpp", { atLeast: 1.6 }, { atLeast: 1.1 }),
  ...ratio(WITH, "Deno", "Q4_1", "node-llama-cpp", { atLeast: 1.8 }, { atLeast: 1.4 }),
  ...ratio(WITHOUT, "newest Node", "Q4_1", "node-llama-cpp", { atLeast: 1.3 }, { atLeast: 1.1 }),
  {
    ours: "newest Node",
    file: "Q4_1",
    peer: "every peer",
    best: true,
    figure: "decode_tps",
    atLeast: 1,
  },
  { ours: "newest Node", file: "Q4_1", figure: "cold_ttft_ms", atMost: 350 },
  { ours: "newest Node", file: "Q4_1", figure: "cold_rss_mb", atMost: 180 },
  { ours: "newest Node", file: "Q4_1", figure: "rss_mb", atMost: 180 },
];

/** Of `npm run bench -- contexts`. */
export const CONTEXT_BARS = [
  { ours: "newest Node", figure: "decode at 4096 / at 128", atLeast: 0.42, aim: 0.5 },
  { ours: "newest Node", peer: "node-llama-cpp", figure: "decode at 4096", atLeast: 1 },
];

/** Of `npm run bench -- concurrency`: the speed of 8 streams together by that of one. */
export const CONCURRENCY_BARS = ["greedy", "sampled, top_p 0.9"].flatMap((kind) => [
  { ours: "newest Node", figure: `8 streams by one, ${kind}`, atLeast: 1.5 },
  { ours: "Node 20", figure: `8 streams by one, ${kind}`, atLeast: 1.15 },
]);

/** Of `npm run bench -- prefix`: per cent of the first turn's time to the first token. */
export const PREFIX_BARS = ["newest Node", "Node 20"].flatMap((ours) => [
  { ours, of: "second", figure: "second turn, % of the first", atMost: 10, digits: 1 },
  { ours, of: "snapshot", figure: "from a snapshot, % of the first turn", atMost: 10, digits: 1 },
]);

const FIGURES = {
  prefill_tps: "prefill",
  decode_tps: "decode",
  cold_ttft_ms: "first token, ms",
  cold_rss_mb: "peak memory at the first token, MB",
  rss_mb: "peak memory after 512 tokens and more, MB",
};

/**
 * The bars that hold on this CPU, each with what was found.
 *
 * @param bars PEER_BARS or CONTEXT_BARS.
 * @param hasFlag avx_vnni; null where the system does not say: bars that depend on it are left out.
 * @param measure gives the value for a bar, `{ value, against? }`, or undefined: not in this run.
 */
export function judge(bars, hasFlag, measure) {
  return bars
    .filter(({ flag }) => flag === undefined || flag === hasFlag)
    .map((bar) => {
      const { value, against } = measure(bar) ?? {};
      return { ...bar, against, ...(value !== undefined && measured(bar, value)) };
    });
}

/** `margin`: by which share the value passes the bar; below 0 it misses it. */
function measured({ atLeast, atMost, aim }, value) {
  const margin = atMost === undefined ? value / atLeast - 1 : 1 - value / atMost;
  return { value, margin, met: margin >= 0, ...(aim && { aimMet: value >= aim }) };
}

/** A table of bars: what was found, the bar, and the margin, as `met by 10 %`. */
export function barTable(bars) {
  return table(
    ["figure", "found", "bar", "margin", "aim"],
    bars.map((bar) => {
      const { ours, file, against, figure, atLeast, atMost, aim, aimMet } = bar;
      const digits = bar.digits ?? (atMost ? 0 : 2);
      const number = (n) => `${n.toFixed(digits)}${bar.peer ? "x" : ""}`;
      const by =
        bar.peer && `by ${against ?? (bar.best ? "each peer's fastest format" : bar.peer)}`;
      return [
        [ours, file, FIGURES[figure] ?? figure, by].filter(Boolean).join(", "),
        bar.value === undefined ? "not in this run" : number(bar.value),
        atMost === undefined ? `at least ${number(atLeast)}` : `at most ${number(atMost)}`,
        bar.value === undefined ? "–" : marginText(bar),
        aim ? `${number(aim)}${aimMet ? ", met" : ""}` : "–",
      ];
    }),
  );
}

/** `met by 10 %`, `missed by 3 %`. */
export function marginText({ margin, met }) {
  return `${met ? "met" : "missed"} by ${Math.abs(margin * 100).toFixed(0)} %`;
}
