/** What a command is, and what it gets of the world. */

import type { Environment } from "../platform/host/cache-folder.ts";
import type { Host } from "../platform/host/host.ts";

export interface OptionSpec {
  readonly type: "string" | "boolean";
  /** What the value is called in the help: `N`, `DIR`. */
  readonly value?: string;
  readonly help: string;
  /** May be given several times; its value is a list then. */
  readonly multiple?: boolean;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
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
  /** Progress and complaints. */
  err(text: string): void;
  /** Whether progress may move the cursor. */
  readonly isTerminal: boolean;
  readStdin(): Promise<string>;
  /** For commands that talk. */
  openLines(): Promise<LineInput>;
}

/** Lines of standard input, one after the other. */
export interface LineInput {
  /** Whether somebody types them. */
  readonly isTerminal: boolean;
  /** What Ctrl+C does on a terminal; undefined: it ends the input. */
  onInterrupt: (() => void) | undefined;
  /** The next line, behind a prompt on a terminal; undefined at the end. */
  next(prompt: string): Promise<string | undefined>;
  close(): void;
}
