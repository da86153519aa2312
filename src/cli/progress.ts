/**
 * Progress on stderr: on a terminal a bar that redraws itself in place, with rate and remaining time; elsewhere a line
 * every tenth. A line is written over, and erased only behind its end, so that nothing flickers.
 */
import type { CliContext } from "./command.ts";
import {
  amountOf,
  type BarState,
  type DrawnLine,
  drawBar,
  type ProgressUnit,
  summaryOf,
} from "./progress-bar.ts";

/** Redrawing more often than this shows nothing more. */
const REDRAW_MS = 100;

/** What is over sooner needs no bar. */
const BRIEF_MS = 500;

/** Without a terminal, what may be brief is worth a line only when it is not. */
const BRIEF_LINE_MS = 5000;

/** The rate is that of the last seconds: a longer mean hides that a network has slowed down. */
const RATE_MS = 5000;

/** A shorter time tells no rate. */
const MIN_RATE_MS = 300;

export interface ProgressReport {
  /** What is being done: `download model.gguf`. */
  readonly label: string;
  readonly loaded: number;
  /** undefined: nobody knows; the time is shown instead. */
  readonly total: number | undefined;
  /** What is counted. Default bytes, shown in MB. */
  readonly unit?: ProgressUnit;
  /** Shown only once it has taken half a second, and erased when it is done. */
  readonly brief?: boolean;
}

export interface Progress {
  report(report: ProgressReport): void;
  /** Ends the line of a bar. */
  finish(): void;
}

type ProgressCli = Pick<CliContext, "note" | "isTerminal" | "columns" | "colors">;

export function createProgress(
  cli: ProgressCli,
  now: () => number = () => performance.now(),
): Progress {
  return cli.isTerminal ? new ProgressLine(cli, now) : new ProgressLog(cli, now);
}

/**
 * Runs `work` with a line that counts the seconds, on a terminal, from half a second on.
 *
 * @param work gets what takes the line away, for when something else is to be written
 */
export async function withActivity<Result>(
  cli: ProgressCli,
  label: string,
  work: (pause: () => void) => Promise<Result>,
): Promise<Result> {
  const progress = createProgress(cli);
  const tick = (): void => progress.report({ label, loaded: 0, total: undefined, brief: true });
  const timer = cli.isTerminal ? setInterval(tick, REDRAW_MS) : undefined;
  try {
    if (timer) tick();
    return await work(() => progress.finish());
  } finally {
    clearInterval(timer);
    progress.finish();
  }
}

/** Where no cursor moves. */
class ProgressLog implements Progress {
  readonly #cli: ProgressCli;
  readonly #now: () => number;
  #label = "";
  #startedMs = 0;
  #tenth = -1;

  constructor(cli: ProgressCli, now: () => number) {
    this.#cli = cli;
    this.#now = now;
  }

  report({ label, loaded, total, unit = "bytes", brief }: ProgressReport): void {
    if (label !== this.#label) {
      this.#label = label;
      this.#tenth = -1;
      this.#startedMs = this.#now();
    }
    if (brief && this.#now() - this.#startedMs < BRIEF_LINE_MS) return;
    const reached = total ? Math.floor(Math.min(1, loaded / total) * 10) : 0;
    if (reached <= this.#tenth) return;
    this.#tenth = reached;
    const amount = total === undefined ? "" : amountOf({ loaded, total, unit });
    this.#cli.note(`${label} ${amount}`.trimEnd().concat("\n"));
  }

  finish(): void {}
}

interface Sample {
  readonly ms: number;
  readonly loaded: number;
}

class ProgressLine implements Progress {
  readonly #cli: ProgressCli;
  readonly #now: () => number;
  #last: ProgressReport | undefined;
  #startedMs = 0;
  /** Where it began: what an earlier run had brought is no speed of this one. */
  #begun = 0;
  #samples: Sample[] = [];
  #drawnMs = Number.NEGATIVE_INFINITY;
  #drawn: DrawnLine | undefined;

  constructor(cli: ProgressCli, now: () => number) {
    this.#cli = cli;
    this.#now = now;
  }

  report(report: ProgressReport): void {
    const ms = this.#now();
    if (report.label !== this.#last?.label) {
      this.finish();
      this.#startedMs = ms;
      this.#begun = report.loaded;
      this.#samples = [];
      this.#drawnMs = Number.NEGATIVE_INFINITY;
    }
    this.#last = report;
    const { loaded, total, brief } = report;
    const newest = this.#samples.at(-1);
    if (newest === undefined || ms - newest.ms >= REDRAW_MS) this.#samples.push({ ms, loaded });
    while (this.#samples.length > 2 && ms - this.#samples[1].ms > RATE_MS) this.#samples.shift();
    if (brief && ms - this.#startedMs < BRIEF_MS) return;
    const isDone = total !== undefined && loaded >= total;
    if (!isDone && ms - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = ms;
    const { columns, colors } = this.#cli;
    const line = drawBar(this.#state(report, ms), { columns: columns(), colors: colors.err });
    this.#cli.note(`${this.#home()}${line.text}\x1b[K`);
    this.#drawn = line;
  }

  finish(): void {
    const report = this.#last;
    const drawn = this.#drawn;
    this.#last = undefined;
    if (report === undefined || drawn === undefined) return;
    const home = this.#home();
    this.#drawn = undefined;
    this.#cli.note(this.#ending(report, home));
  }

  #ending(report: ProgressReport, home: string): string {
    if (report.brief) return `${home}\x1b[J`;
    const isDone = report.total === undefined || report.loaded >= report.total;
    // What was broken off stays as it was.
    if (!isDone) return "\n";
    const ms = this.#now();
    const elapsedMs = ms - this.#startedMs;
    const whole = ((report.loaded - this.#begun) * 1000) / elapsedMs;
    const rate = elapsedMs < MIN_RATE_MS ? undefined : whole;
    return `${home}${summaryOf({ ...this.#state(report, ms), rate })}\x1b[K\n`;
  }

  #state({ label, loaded, total, unit = "bytes" }: ProgressReport, ms: number): BarState {
    const first = this.#samples[0];
    const spanMs = ms - (first?.ms ?? ms);
    const rate = spanMs < MIN_RATE_MS ? undefined : ((loaded - first.loaded) * 1000) / spanMs;
    return { label, loaded, total, unit, elapsedMs: ms - this.#startedMs, rate };
  }

  /** To the beginning of what was drawn: a terminal that has become narrower shows it in several rows. */
  #home(): string {
    const rows = Math.ceil((this.#drawn?.width ?? 0) / Math.max(1, this.#cli.columns())) - 1;
    return rows > 0 ? `\x1b[${rows}A\r\x1b[J` : "\r";
  }
}
