/** Rows of bars: speeds with their ranges, or what adds up to a sum beside a limit. */
import { line, type PictureText, place, svg, TOP, text } from "./svg.ts";

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface SpeedRow {
  readonly label: string;
  /** Stands out. */
  readonly ours: boolean;
  /** Tokens a second. */
  readonly prefill: Spread;
  readonly decode: Spread;
}

export interface StackedRow {
  readonly label: string;
  /** One of each part. */
  readonly values: readonly number[];
}

export interface StackedBars extends PictureText {
  readonly parts: readonly string[];
  readonly rows: readonly StackedRow[];
  readonly limits: readonly { readonly label: string; readonly value: number }[];
  readonly unit: string;
}

const WIDTH = 880;
const LABEL_WIDTH = 268;
/** Behind the longest bar, for its number. */
const NUMBER_WIDTH = 70;
const BAR = 13;
const ROW = 38;
/** Of a row: its label's baseline, so that it stands between both bars. */
const BASELINE = 22;
const BOTTOM = 16;
const SPEEDS = ["prefill", "decode"] as const;

/** Two bars a row, prefill and decode. */
export function speedBars(picture: PictureText & { readonly rows: readonly SpeedRow[] }): string {
  const { rows } = picture;
  const most = Math.max(...rows.flatMap(({ prefill, decode }) => [prefill.max, decode.max]));
  const scale = (tps: number): number => (tps / most) * (WIDTH - LABEL_WIDTH - NUMBER_WIDTH);
  const height = TOP + ROW * rows.length + BOTTOM;
  return svg(WIDTH, height, picture, [
    ...SPEEDS.flatMap((name, i) => {
      const x = WIDTH - 210 + 100 * i;
      const pale = name === "prefill" ? " pale" : "";
      return [
        `<rect class="s0${pale}" x="${x}" y="12" width="12" height="12"/>`,
        `<rect class="s1${pale}" x="${x + 14}" y="12" width="12" height="12"/>`,
        text(x + 32, 22, name),
      ];
    }),
    ...rows.flatMap((row, i) => speedRow(row, TOP + ROW * i, scale)),
    line("axis", LABEL_WIDTH, TOP - 4, LABEL_WIDTH, height - BOTTOM),
  ]);
}

function speedRow(row: SpeedRow, y: number, scale: (tps: number) => number): string[] {
  const name = row.ours ? "s0" : "s1";
  const label = text(LABEL_WIDTH - 8, y + BASELINE, row.label, row.ours ? "strong" : "", "end");
  const bars = SPEEDS.flatMap((speed, i) => {
    const { median, min, max } = row[speed];
    const top = y + 3 + i * (BAR + 3);
    const middle = top + BAR / 2;
    const pale = speed === "prefill" ? " pale" : "";
    return [
      `<rect class="${name}${pale}" x="${LABEL_WIDTH}" y="${top}" width="${place(scale(median))}" height="${BAR}"/>`,
      line("range", LABEL_WIDTH + scale(min), middle, LABEL_WIDTH + scale(max), middle),
      text(LABEL_WIDTH + scale(max) + 6, middle + 4, median.toFixed(median < 100 ? 1 : 0), "small"),
    ];
  });
  return [label, ...bars];
}

/** One bar a row, its parts side by side. */
export function stackedBars(picture: StackedBars): string {
  const { parts, rows, limits, unit } = picture;
  const sumOf = ({ values }: StackedRow): number => values.reduce((sum, value) => sum + value, 0);
  const most = Math.max(...rows.map(sumOf), ...limits.map(({ value }) => value));
  const scale = (value: number): number => (value / most) * (WIDTH - LABEL_WIDTH - NUMBER_WIDTH);
  const top = TOP + 28;
  const height = top + ROW * rows.length + BOTTOM + 8 + 16 * limits.length;
  let legendX = LABEL_WIDTH;
  return svg(WIDTH, height, picture, [
    ...parts.flatMap((part, i) => {
      const x = legendX;
      legendX += 40 + 7 * part.length;
      return [
        `<rect class="s${i}" x="${x}" y="${TOP - 4}" width="12" height="12"/>`,
        text(x + 18, TOP + 6, part, "small"),
      ];
    }),
    ...rows.flatMap((row, i) => {
      let x = LABEL_WIDTH;
      const y = top + ROW * i;
      const bars = row.values.map((value, part) => {
        const bar = `<rect class="s${part}" x="${place(x)}" y="${y + 8}" width="${place(scale(value))}" height="22"/>`;
        x += scale(value);
        return bar;
      });
      const label = `${row.label}: ${sumOf(row).toFixed(1)} ${unit}`;
      return [text(LABEL_WIDTH - 8, y + 24, label, "", "end"), ...bars];
    }),
    // Below each other: limits may lie close.
    ...limits.flatMap(({ label, value }, i) => {
      const x = LABEL_WIDTH + scale(value);
      const floor = height - BOTTOM - 16 - 16 * (limits.length - 1 - i);
      return [
        line("limit", x, top - 4, x, floor),
        text(x, floor + 14, `${label}, ${value} ${unit}`, "small", "middle"),
      ];
    }),
    line("axis", LABEL_WIDTH, top - 4, LABEL_WIDTH, top + ROW * rows.length),
  ]);
}
