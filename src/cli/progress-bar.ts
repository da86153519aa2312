/** One line of progress, as wide as the terminal lets it be: label, bar, part, amount, rate, time that is left. */
import type { Colors } from "./colors.ts";

export type ProgressUnit = "bytes" | "tokens" | "steps";

/** What a line shows. */
export interface BarState {
  readonly label: string;
  readonly loaded: number;
  readonly total: number | undefined;
  readonly unit: ProgressUnit;
  readonly elapsedMs: number;
  /** Units a second; undefined until there is one to tell. */
  readonly rate: number | undefined;
}

export interface BarStyle {
  readonly columns: number;
  readonly colors: Pick<Colors, "bold" | "cyan" | "dim">;
}

export interface DrawnLine {
  /** With colours. */
  readonly text: string;
  /** Characters that it takes on the screen. */
  readonly width: number;
}

const MAX_BAR = 30;
const MIN_BAR = 8;
/** A label is not cut shorter for a bar than this. */
const MIN_LABEL = 16;
const GAP = 2;

/** Never as wide as the terminal: a full line would move the cursor to the next. */
export function drawBar(state: BarState, { columns, colors }: BarStyle): DrawnLine {
  const room = Math.max(MIN_LABEL, columns - 1);
  const { label, loaded, total, elapsedMs } = state;
  if (!total) {
    const facts = loaded > 0 ? [amountOf(state), rateOf(state)] : [duration(elapsedMs)];
    const told = facts.filter((text) => text !== undefined).join("  ");
    const name = cut(label, room - told.length - GAP);
    return { text: `${name}  ${colors.dim(told)}`, width: name.length + GAP + told.length };
  }
  const fraction = Math.min(1, loaded / total);
  const percent = `${Math.floor(fraction * 100)}%`.padStart(4);
  const facts = [amountOf(state), rateOf(state), leftOf(state)].filter((one) => one !== undefined);
  // What is said last goes first.
  for (; ; facts.pop()) {
    const told = [percent, ...facts].join("  ");
    const space = room - told.length - 2 * GAP;
    const name = cut(label, Math.max(MIN_LABEL, space - MIN_BAR));
    const bar = Math.min(MAX_BAR, space - name.length);
    if (bar < MIN_BAR && facts.length > 0) continue;
    if (bar < MIN_BAR) {
      const short = cut(label, room - percent.length - GAP);
      return { text: `${short}  ${percent}`, width: short.length + GAP + percent.length };
    }
    const full = Math.floor(fraction * bar);
    const text = `${name}  ${colors.cyan("━".repeat(full))}${colors.dim("─".repeat(bar - full))}  ${told}`;
    return { text, width: name.length + bar + told.length + 2 * GAP };
  }
}

/** What stays on the screen of something that is done. */
export function summaryOf(state: BarState): string {
  const { label, loaded, elapsedMs, unit } = state;
  const amount = unit === "bytes" ? `${megabytes(loaded)} MB` : `${loaded} ${unit}`;
  const rate = rateOf(state);
  return `${label}  ${amount} in ${duration(elapsedMs)}${rate === undefined ? "" : `, ${rate}`}`;
}

/** `44.1 of 98.4 MB`, `64 of 4096 tokens`, `2 of 5`. */
export function amountOf({
  loaded,
  total,
  unit,
}: Pick<BarState, "loaded" | "total" | "unit">): string {
  if (unit === "bytes") {
    return total ? `${megabytes(loaded)} of ${megabytes(total)} MB` : `${megabytes(loaded)} MB`;
  }
  const name = unit === "tokens" ? " tokens" : "";
  return total ? `${loaded} of ${total}${name}` : `${loaded}${name}`;
}

function rateOf({ rate, unit }: BarState): string | undefined {
  if (rate === undefined || unit === "steps") return undefined;
  return unit === "bytes" ? `${megabytes(rate)} MB/s` : `${Math.round(rate)} tokens/s`;
}

function leftOf({ loaded, total = 0, rate }: BarState): string | undefined {
  if (!rate || loaded >= total) return undefined;
  return `${duration(((total - loaded) / rate) * 1000)} left`;
}

/** `0.4 s`, `12 s`, `1 min 20 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** The beginning and the end of a name: what tells files apart is often the end. */
function cut(label: string, width: number): string {
  if (label.length <= width) return label;
  const end = Math.floor((width - 1) / 2);
  return `${label.slice(0, Math.max(0, width - 1 - end))}…${end > 0 ? label.slice(-end) : ""}`;
}
