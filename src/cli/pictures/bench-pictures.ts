/** What `pronk bench` and `pronk eval` measure, as pictures. */
import { type BenchHead, type BenchSamples, spreadOf } from "../bench-workload.ts";
import { speedBars } from "./bars.ts";
import { plot, roundAxis } from "./plot.ts";

/** Of --contexts: samples at a depth. */
export interface DepthSamples {
  readonly positions: number;
  readonly prefill_tps: readonly number[];
  readonly decode_tps: readonly number[];
}

const threadsOf = ({ threads }: BenchHead): string =>
  `${threads} ${threads === 1 ? "thread" : "threads"}`;

const subtitleOf = (head: BenchHead): string =>
  `${head.runtime}, ${threadsOf(head)}, ${head.kernel} kernels; medians, lines from the least to the greatest`;

export function speedPicture(model: string, head: BenchHead, samples: BenchSamples): string {
  const prefill = spreadOf(samples.prefill_tps);
  const decode = spreadOf(samples.decode_tps);
  return speedBars({
    title: "Prefill and decode, tokens a second",
    subtitle: subtitleOf(head),
    description: `${model}: ${prefill.median.toFixed(1)} tokens a second of prefill, ${decode.median.toFixed(1)} of decode.`,
    rows: [{ label: model, ours: true, prefill, decode }],
  });
}

export function depthsPicture(
  model: string,
  head: BenchHead,
  depths: readonly DepthSamples[],
): string {
  const seriesOf = (name: string, key: "prefill_tps" | "decode_tps") => ({
    name,
    joined: true,
    points: depths.map((depth) => {
      const { median, min, max } = spreadOf(depth[key]);
      const label = median.toFixed(0);
      return { x: depth.positions, y: median, low: min, high: max, label };
    }),
  });
  const series = [seriesOf("prefill", "prefill_tps"), seriesOf("decode", "decode_tps")];
  const points = series.flatMap((one) => one.points);
  const said = series.map(
    (one) => `${one.name}: ${one.points.map(({ x, label }) => `${label} at ${x}`).join(", ")}`,
  );
  return plot({
    title: `Speed against context length: ${model}`,
    subtitle: subtitleOf(head),
    description: `Tokens a second by positions in the context. ${said.join("; ")}.`,
    x: roundAxis(
      "positions in the context",
      points.map(({ x }) => x),
      true,
    ),
    y: roundAxis(
      "tokens a second",
      points.map(({ high }) => high),
      true,
    ),
    series,
  });
}

/** A window of `pronk eval`. */
export interface ScoredWindow {
  readonly nll: number;
  readonly tokens: number;
}

/** Each window's perplexity where it ends in the text, and that of all windows up to there. */
export function perplexityPicture(
  model: string,
  ctx: number,
  windows: readonly ScoredWindow[],
): string {
  let [sum, tokens] = [0, 0];
  const ends = windows.map((window) => {
    sum += window.nll * window.tokens;
    tokens += window.tokens;
    return { tokens, own: Math.exp(window.nll), all: Math.exp(sum / tokens) };
  });
  const last = ends.at(-1) ?? { tokens: 0, own: 1, all: 1 };
  const series = [
    { name: "one window", points: ends.map(({ tokens: x, own: y }) => ({ x, y })) },
    {
      name: "all up to there",
      joined: true,
      points: ends.map(({ tokens: x, all: y }) =>
        x === last.tokens ? { x, y, label: y.toFixed(2) } : { x, y },
      ),
    },
  ];
  const points = series.flatMap((one): readonly { x: number; y: number }[] => one.points);
  return plot({
    title: `Perplexity along the text: ${model}`,
    subtitle: `${windows.length} windows of ${ctx} tokens; lower is better`,
    description: `Perplexity ${last.all.toFixed(4)} over ${last.tokens} tokens.`,
    x: roundAxis(
      "tokens scored",
      points.map(({ x }) => x),
      true,
    ),
    y: roundAxis(
      "perplexity",
      points.map(({ y }) => y),
      true,
    ),
    series,
  });
}
