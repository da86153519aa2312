/** Lines from a terminal, with editing, history and completion, or from a pipe. */
import type { Interface } from "node:readline";
import type { LineInput, LineInputOptions } from "../command.ts";
import { HistorySearch, type SearchedLine } from "./history-search.ts";
import { LINE_SIGN, PASTE_OFF, PASTE_ON, TerminalKeys } from "./terminal-keys.ts";

export const HISTORY_LINES = 1000;

type WithHistory = Interface & { history?: string[] };

export async function openLineInput(
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
  options: LineInputOptions = {},
): Promise<LineInput> {
  // Loaded only here: other commands read no lines.
  const { createInterface } = await import("node:readline");
  if (input.isTTY !== true || output.isTTY !== true) {
    return new ReadlineInput(createInterface({ input, terminal: false }));
  }
  let lines: ReadlineInput;
  const search = new HistorySearch(() => lines.searched);
  const keys = new TerminalKeys(input, { search, interrupt: () => lines.onInterrupt });
  const { history = [], complete } = options;
  const readline = createInterface({
    input: keys.stream,
    output,
    terminal: true,
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
    history: history.map((text) => text.replaceAll("\n", LINE_SIGN)),
    ...(complete && { completer: (line: string) => [complete(line), line] }),
  });
  output.write(PASTE_ON);
  lines = new ReadlineInput(readline, { keys, output });
  return lines;
}

class ReadlineInput implements LineInput {
  onInterrupt: (() => void) | undefined;
  readonly #lines: WithHistory;
  readonly #terminal: { keys: TerminalKeys; output: NodeJS.WriteStream } | undefined;
  /** Piped before they were asked for. */
  readonly #ahead: string[] = [];
  #prompt = "";
  #waiting: ((line: string | null | undefined) => void) | undefined;
  #ended = false;

  constructor(lines: Interface, terminal?: { keys: TerminalKeys; output: NodeJS.WriteStream }) {
    this.#lines = lines;
    this.#terminal = terminal;
    lines.on("line", (line) => {
      if (this.#waiting) this.#answer(line.replaceAll(LINE_SIGN, terminal ? "\n" : LINE_SIGN));
      else this.#ahead.push(line);
    });
    lines.on("close", () => {
      this.#ended = true;
      this.#terminal?.output.write(PASTE_OFF);
      this.#answer(undefined);
    });
    // A terminal in raw mode sends Ctrl+C here and no signal.
    lines.on("SIGINT", () => {
      // First it takes back what is typed, then the asking.
      const isEmpty = this.#lines.line === "";
      terminal?.output.write("^C\n");
      this.#setLine("");
      if (isEmpty) this.#answer(null);
    });
  }

  get isTerminal(): boolean {
    return this.#terminal !== undefined;
  }

  get searched(): SearchedLine {
    return {
      history: this.#lines.history ?? [],
      text: this.#lines.line,
      show: (prompt, text) => {
        this.#lines.setPrompt(prompt ?? this.#prompt);
        this.#setLine(text);
      },
    };
  }

  next(prompt: string): Promise<string | null | undefined> {
    const line = this.#ahead.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (this.#ended) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting = resolve;
      if (!this.#terminal) return;
      this.#prompt = prompt;
      this.#lines.setPrompt(prompt);
      this.#lines.prompt();
      this.#terminal.keys.setReading(true);
    });
  }

  remember(lines: readonly string[], text: string): void {
    const { history } = this.#lines;
    if (!history) return;
    // The newest are the last of them; blank ones readline has left out.
    for (const line of lines.toReversed()) {
      if (history[0] === line.replaceAll("\n", LINE_SIGN)) history.shift();
    }
    const entry = text.replaceAll("\n", LINE_SIGN);
    const there = history.indexOf(entry);
    if (there !== -1) history.splice(there, 1);
    history.unshift(entry);
  }

  close(): void {
    this.#lines.close();
    this.#terminal?.keys.close();
  }

  #answer(line: string | null | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#terminal?.keys.setReading(false);
    waiting?.(line);
  }

  /** By readline's own keys: to the end, all of it away, and the text. */
  #setLine(text: string): void {
    if (this.#ended) return;
    this.#lines.write(null as never, { ctrl: true, name: "e" });
    this.#lines.write(null as never, { ctrl: true, name: "u" });
    if (text !== "") this.#lines.write(text);
  }
}
