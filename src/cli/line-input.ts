/** Lines from a terminal, with editing and history, or from a pipe. */
import type { Interface } from "node:readline";
import type { LineInput } from "./command.ts";

const HISTORY_LINES = 1000;

export async function openLineInput(
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
): Promise<LineInput> {
  // Loaded only here: other commands read no lines.
  const { createInterface } = await import("node:readline");
  const isTerminal = input.isTTY === true && output.isTTY === true;
  const lines = createInterface({
    input,
    ...(isTerminal && { output }),
    terminal: isTerminal,
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
  });
  return new ReadlineInput(lines, isTerminal);
}

class ReadlineInput implements LineInput {
  readonly isTerminal: boolean;
  onInterrupt: (() => void) | undefined;
  readonly #lines: Interface;
  /** Typed, or piped, before they were asked for. */
  readonly #ahead: string[] = [];
  #waiting: ((line: string | undefined) => void) | undefined;
  #ended = false;

  constructor(lines: Interface, isTerminal: boolean) {
    this.isTerminal = isTerminal;
    this.#lines = lines;
    lines.on("line", (line) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting) waiting(line);
      else this.#ahead.push(line);
    });
    lines.on("close", () => {
      this.#ended = true;
      this.#waiting?.(undefined);
    });
    // A terminal in raw mode sends Ctrl+C here and no signal.
    lines.on("SIGINT", () => (this.onInterrupt ? this.onInterrupt() : lines.close()));
  }

  next(prompt: string): Promise<string | undefined> {
    const line = this.#ahead.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (this.#ended) return Promise.resolve(undefined);
    if (this.isTerminal) {
      this.#lines.setPrompt(prompt);
      this.#lines.prompt();
    }
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  close(): void {
    this.#lines.close();
  }
}
