/**
 * The comparison as an SVG picture: two bars a contender, prefill and decode, each with its median
 * and the range of the rounds. Colours follow the reader's light or dark mode.
 */
import { summaryOf } from "./report.mjs";

const WIDTH = 880;
const LABEL_WIDTH = 240;
/** Behind the longest bar, for its number. */
const NUMBER_WIDTH = 70;
const BAR = 13;
const ROW = 38;
/** Of a row: its label's baseline, so that it stands between both bars. */
const BASELINE = 22;
const TOP = 64;
const BOTTOM = 16;

const SERIES = [
  { key: "prefill_tps", name: "prefill", at: 3 },
  { key: "decode_tps", name: "decode", at: 3 + BAR + 3 },
];

const STYLE = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .number { font-size: 12px; font-variant-numeric: tabular-nums; }
  .ours { font-weight: 600; }
  .prefill { fill: #9ec5f4; }
  .decode { fill: #3b73b9; }
  .ours-prefill { fill: #f3b680; }
  .ours-decode { fill: #d3681d; }
  .range { stroke: #1f2328; stroke-width: 1; opacity: 0.55; }
  .axis { stroke: #1f2328; opacity: 0.25; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .prefill { fill: #35557c; }
    .decode { fill: #6ea8ec; }
    .ours-prefill { fill: #80502b; }
    .ours-decode { fill: #f0924f; }
    .range, .axis { stroke: #e6edf3; }
  }`;

/** @param document of `npm run bench -- peers`. */
export function barChart({ contenders, machine, date }) {
  const rows = contenders.map(summaryOf);
  const most = Math.max(...rows.flatMap((row) => SERIES.map(({ key }) => row[key].max)));
  const scale = (tps) => (tps / most) * (WIDTH - LABEL_WIDTH - NUMBER_WIDTH);
  const height = TOP + ROW * rows.length + BOTTOM;
  const title = "Prefill and decode, tokens per second, one thread";
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${title}">`,
    `<style>${STYLE}\n</style>`,
    text(8, 22, title, "title"),
    text(8, 42, `${machine.cpu}, ${date}; medians of rounds, lines from the least to the greatest`),
    ...legend(),
    ...rows.flatMap((row, i) => contenderBars(row, TOP + ROW * i, scale)),
    `<line class="axis" x1="${LABEL_WIDTH}" x2="${LABEL_WIDTH}" y1="${TOP - 4}" y2="${height - BOTTOM}"/>`,
    "</svg>\n",
  ].join("\n");
}

/** Top right: both bars of ours, and both of a peer. */
function legend() {
  return SERIES.flatMap(({ name }, i) => {
    const x = WIDTH - 210 + 100 * i;
    return [
      `<rect class="ours-${name}" x="${x}" y="12" width="12" height="12"/>`,
      `<rect class="${name}" x="${x + 14}" y="12" width="12" height="12"/>`,
      text(x + 32, 22, name),
    ];
  });
}

function contenderBars(row, y, scale) {
  const ours = row.peer === "pronk";
  const label = text(
    LABEL_WIDTH - 8,
    y + BASELINE,
    row.label,
    `label${ours ? " ours" : ""}`,
    "end",
  );
  const bars = SERIES.flatMap(({ key, name, at }) => {
    const { median, min, max } = row[key];
    const middle = y + at + BAR / 2;
    const [from, to] = [min, max].map((tps) => (LABEL_WIDTH + scale(tps)).toFixed(1));
    const digits = median < 100 ? 1 : 0;
    return [
      `<rect class="${ours ? "ours-" : ""}${name}" x="${LABEL_WIDTH}" y="${y + at}" width="${scale(median).toFixed(1)}" height="${BAR}"/>`,
      `<line class="range" x1="${from}" x2="${to}" y1="${middle}" y2="${middle}"/>`,
      text(LABEL_WIDTH + scale(max) + 6, middle + 4, median.toFixed(digits), "number"),
    ];
  });
  return [label, ...bars];
}

function text(x, y, content, name, anchor = "start") {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const style = name ? ` class="${name}"` : "";
  return `<text${style} x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${escaped}</text>`;
}
