/** Progress on stderr: a bar that redraws itself on a terminal, a line every tenth elsewhere. */
import type { CliContext } from "./command.ts";

const BAR_CHARS = 24;

/** Redrawing more often than this shows nothing more. */
const REDRAW_MS = 100;

export interface ProgressReport {
  /** What is being done: `download model.gguf`. */
  readonly label: string;
  readonly loaded: number;
  readonly total: number | undefined;
  /** What is counted. Default bytes, shown in MB. */
  readonly unit?: "bytes" | "tokens";
}

export interface Progress {
  report(report: ProgressReport): void;
  /** Ends the line of a bar. */
  finish(): void;
}

export function createProgress(
  cli: Pick<CliContext, "err" | "isTerminal">,
  now: () => number = () => performance.now(),
): Progress {
  let label = "";
  let tenth = -1;
  let drawnMs = Number.NEGATIVE_INFINITY;
  let open = false;
  const finish = (): void => {
    if (open) cli.err("\n");
    open = false;
  };
  return {
    finish,
    report(report): void {
      const { loaded, total, unit = "bytes" } = report;
      const begins = report.label !== label;
      if (begins) finish();
      label = report.label;
      const fraction = total ? Math.min(1, loaded / total) : undefined;
      const amount = total === undefined ? "" : amountOf(loaded, total, unit);
      if (cli.isTerminal) {
        if (!begins && fraction !== 1 && now() - drawnMs < REDRAW_MS) return;
        drawnMs = now();
        open = true;
        cli.err(`\r\x1b[2K${label} ${fraction === undefined ? "" : bar(fraction)} ${amount}`);
        return;
      }
      const reached = fraction === undefined ? 0 : Math.floor(fraction * 10);
      if (!begins && reached <= tenth) return;
      tenth = reached;
      cli.err(`${label} ${amount}`.trimEnd().concat("\n"));
    },
  };
}

function amountOf(loaded: number, total: number, unit: "bytes" | "tokens"): string {
  if (unit === "tokens") return `${loaded} of ${total} tokens`;
  return `${megabytes(loaded)} of ${megabytes(total)} MB`;
}

function bar(fraction: number): string {
  const full = Math.round(fraction * BAR_CHARS);
  return `[${"#".repeat(full)}${".".repeat(BAR_CHARS - full)}]`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
