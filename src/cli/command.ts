/** What a command is, and what it gets of the world. */

import type { Environment } from "../platform/host/cache-folder.ts";
import type { Host } from "../platform/host/host.ts";
import type { Colors } from "./colors.ts";

export interface OptionSpec {
  readonly type: "string" | "boolean";
  /** What the value is called in the help: `N`, `DIR`. */
  readonly value?: string;
  readonly help: string;
  /** May be given several times; its value is a list then. */
  readonly multiple?: boolean;
  /** Under which heading the help shows it; undefined: among the command's own. */
  readonly group?: string;
  /** One letter that stands for it: `-h`. */
  readonly short?: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** The headings of the list of commands, in its order. */
export const COMMAND_GROUPS = [
  "Use a model",
  "Put it online",
  "Get and make models",
  "Look inside",
  "This machine",
] as const;

/** A command line as one types it, and one line of what it does. */
export interface CommandExample {
  readonly line: string;
  readonly does: string;
}

export interface Command {
  readonly name: string;
  readonly group: (typeof COMMAND_GROUPS)[number];
  /** One line for the list of commands. */
  readonly summary: string;
  /** What the help begins with; each is run by tests/e2e/command-examples.test.ts, or says there why not. */
  readonly examples: readonly CommandExample[];
  /** Positional arguments as they stand in the help: `[MODEL]`. */
  readonly positionals: string;
  /** How many of them may be given. */
  readonly maxPositionals: number;
  readonly options: OptionSpecs;
  /** Rejects with what went wrong: PronkError, or UsageError for what was typed. */
  run(input: Arguments, cli: CliContext): Promise<void>;
}

export interface Arguments {
  readonly positionals: readonly string[];
  readonly values: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
}

export interface CliContext {
  readonly host: Host;
  readonly env: Environment;
  readonly fetch: typeof fetch;
  /** Fires on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Results. */
  out(text: string): void;
  /** Complaints, and what was asked for beside the results. */
  err(text: string): void;
  /** Progress and remarks, on stderr: nothing with --quiet. */
  note(text: string): void;
  /** Whether notes reach a terminal: progress may move the cursor then. */
  readonly isTerminal: boolean;
  /** Whether results do: a model's answer may hold commands for one. */
  readonly isOutTerminal: boolean;
  /** Of stdout and stderr, each plain where it is no terminal. */
  readonly colors: { readonly out: Colors; readonly err: Colors };
  /** Characters of a line of the terminal, now; 80 where there is none. */
  columns(): number;
  readStdin(): Promise<string>;
  /** For commands that talk. */
  openLines(options?: LineInputOptions): Promise<LineInput>;
}

/** Of a terminal; lines of a pipe have neither. */
export interface LineInputOptions {
  /** What was typed before, the newest first; up, down and Ctrl+R go through it. */
  readonly history?: readonly string[];
  /** Tab: what a line that begins so can be. */
  readonly complete?: (line: string) => string[];
}

/** Lines of standard input, one after the other. What is pasted is one, and has ends of lines in it. */
export interface LineInput {
  /** Whether somebody types them. */
  readonly isTerminal: boolean;
  /** What Ctrl+C does on a terminal while no line is asked for; undefined: it is that of the next line. */
  onInterrupt: (() => void) | undefined;
  /** The next line, behind a prompt on a terminal; undefined at the end; null after Ctrl+C on an empty line. */
  next(prompt: string): Promise<string | null | undefined>;
  /** One entry of the history in place of the lines of which it was made. */
  remember(lines: readonly string[], text: string): void;
  close(): void;
}
