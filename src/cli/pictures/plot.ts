/** Points and lines over two axes, each linear or logarithmic. */
import { line, type PictureText, place, SERIES_COLORS, svg, TOP, text } from "./svg.ts";

export interface Axis {
  readonly label: string;
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
  readonly log?: boolean;
}

export interface PlotPoint {
  readonly x: number;
  readonly y: number;
  /** Beside the point. */
  readonly label?: string;
  /** The range that was measured. */
  readonly low?: number;
  readonly high?: number;
}

export interface PlotSeries {
  readonly name: string;
  readonly points: readonly PlotPoint[];
  /** The points are joined. */
  readonly joined?: boolean;
}

/** A bound that is drawn, from one point to another, with what it is. */
export interface PlotLimit {
  readonly label: string;
  readonly from: readonly [x: number, y: number];
  readonly to: readonly [x: number, y: number];
}

export interface Plot extends PictureText {
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly PlotSeries[];
  readonly limits?: readonly PlotLimit[];
}

const WIDTH = 880;
const HEIGHT = 440;
const LEFT = 72;
const RIGHT = 32;
const BOTTOM = 52;
const LEGEND_ROW = 20;

/** About, of small text. */
const CHARACTER_WIDTH = 6.6;
const LABEL_HEIGHT = 14;

/** A label stands this far from its point, on the one side or the other; then lower or higher. */
const LABEL_GAP = 9;
const LABEL_SHIFTS = [0, -9, 9, -16, 16, -30, 30, 44, 58];
/** Of points that a line joins, which runs to either side: above it first. */
const JOINED_SHIFTS = [-12, 12, -24, 24];

/** Where a value of an axis lies, from 0 to 1. */
export function shareOf({ from, to, log }: Axis, value: number): number {
  if (!log) return (value - from) / (to - from);
  return Math.log(value / from) / Math.log(to / from);
}

export function plot(picture: Plot): string {
  const { x, y, series, limits = [] } = picture;
  const top = TOP + LEGEND_ROW;
  const [width, height] = [WIDTH - LEFT - RIGHT, HEIGHT - top - BOTTOM];
  const atX = (value: number): number => LEFT + shareOf(x, value) * width;
  const atY = (value: number): number => top + (1 - shareOf(y, value)) * height;
  const floor = HEIGHT - BOTTOM;
  const labels = new LabelPlaces();
  for (const { points } of series)
    for (const point of points) labels.take(atX(point.x), atY(point.y));
  return svg(WIDTH, HEIGHT, picture, [
    ...legend(series, LEFT + CHARACTER_WIDTH * y.label.length),
    ...y.ticks.flatMap((value) => [
      line("grid", LEFT, atY(value), WIDTH - RIGHT, atY(value)),
      text(LEFT - 8, atY(value) + 4, tickText(value), "small", "end"),
    ]),
    ...x.ticks.map((value) => text(atX(value), floor + 18, tickText(value), "small", "middle")),
    line("axis", LEFT, floor, WIDTH - RIGHT, floor),
    line("axis", LEFT, top, LEFT, floor),
    text(LEFT + width / 2, HEIGHT - 10, x.label, "", "middle"),
    text(8, TOP + 4, y.label),
    ...limits.flatMap(({ label, from, to }) => [
      line("limit", atX(from[0]), atY(from[1]), atX(to[0]), atY(to[1])),
      text(atX(to[0]) - 4, atY(to[1]) - 6, label, "small", "end"),
    ]),
    ...series.flatMap(({ points, joined }, i) => [
      ...(joined ? [polyline(points, i, atX, atY)] : []),
      ...points.flatMap((point) => pointMarks(point, i, joined === true, atX, atY, labels)),
    ]),
  ]);
}

/** What the marks of a series look like. */
function mark(series: number, x: number, y: number): string {
  const name = `s${series % SERIES_COLORS}`;
  if (series % 3 === 0)
    return `<circle class="${name}" cx="${place(x)}" cy="${place(y)}" r="4.5"/>`;
  const corners = series % 3 === 1 ? [-4, -4, 4, -4, 4, 4, -4, 4] : [0, -5.5, 5.5, 4, -5.5, 4];
  const points = corners.map((d, i) => place(d + (i % 2 === 0 ? x : y)));
  return `<polygon class="${name}" points="${points.join(" ")}"/>`;
}

function legend(series: readonly PlotSeries[], from: number): string[] {
  if (series.length < 2) return [];
  let x = from;
  return series.flatMap(({ name }, i) => {
    const parts = [mark(i, x, TOP), text(x + 10, TOP + 4, name, "small")];
    x += 32 + 7 * name.length;
    return parts;
  });
}

type Place = (value: number) => number;

function polyline(points: readonly PlotPoint[], series: number, atX: Place, atY: Place): string {
  const places = points.map(({ x, y }) => `${place(atX(x))},${place(atY(y))}`).join(" ");
  return `<polyline class="s${series % SERIES_COLORS} line" points="${places}"/>`;
}

function pointMarks(
  { x, y, label, low, high }: PlotPoint,
  series: number,
  isJoined: boolean,
  atX: Place,
  atY: Place,
  labels: LabelPlaces,
): string[] {
  const range =
    low === undefined || high === undefined
      ? []
      : [line("range", atX(x), atY(low), atX(x), atY(high))];
  const name =
    label === undefined
      ? []
      : [labels.beside(atX(x), atY(y), label, isJoined ? JOINED_SHIFTS : LABEL_SHIFTS)];
  return [...range, mark(series, atX(x), atY(y)), ...name];
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Labels beside their points that cover neither points nor each other, as far as there is room. */
class LabelPlaces {
  readonly #taken: Box[] = [];

  /** A point's mark. */
  take(x: number, y: number): void {
    this.#taken.push({ left: x - 5, right: x + 5, top: y - 5, bottom: y + 5 });
  }

  beside(x: number, y: number, label: string, shifts: readonly number[]): string {
    const width = CHARACTER_WIDTH * label.length;
    const places = shifts
      .flatMap((shift) =>
        (["start", "end"] as const).map((anchor) => {
          const left = anchor === "start" ? x + LABEL_GAP : x - LABEL_GAP - width;
          const middle = y + shift;
          const [top, bottom] = [middle - LABEL_HEIGHT / 2, middle + LABEL_HEIGHT / 2];
          return { anchor, box: { left, right: left + width, top, bottom } };
        }),
      )
      .filter(({ box }) => box.left > LEFT && box.right < WIDTH);
    const found = places.find(({ box }) => !this.#taken.some((other) => overlap(box, other)));
    const { anchor, box } = found ??
      places[0] ?? { anchor: "end", box: { left: 0, right: WIDTH, top: y - 7, bottom: y + 7 } };
    this.#taken.push(box);
    const at = anchor === "start" ? box.left : box.right;
    return text(at, (box.top + box.bottom) / 2 + 4, label, "small", anchor);
  }
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

function tickText(value: number): string {
  return value >= 1000 ? value.toLocaleString("en-US") : String(Number(value.toPrecision(4)));
}

/** About so many round numbers of [from, to], for a linear axis. */
function roundTicks(from: number, to: number, count = 5): number[] {
  const rough = (to - from) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}

/** A linear axis whose ends are round and hold all values. */
export function roundAxis(label: string, values: readonly number[], fromZero = false): Axis {
  const least = fromZero ? 0 : Math.min(...values);
  const most = Math.max(...values);
  const room = (most - least || Math.abs(most) || 1) * 0.05;
  const ticks = roundTicks(least, most + room);
  const step = (ticks[1] ?? most) - (ticks[0] ?? least) || 1;
  const from = fromZero ? 0 : Math.floor((least - room) / step) * step;
  const to = Math.ceil((most + room) / step) * step;
  return { label, from, to, ticks: roundTicks(from, to, Math.round((to - from) / step)) };
}
