/** What a command is, and what it gets of the world. */

import type { Environment } from "../platform/host/cache-folder.ts";
import type { Host } from "../platform/host/host.ts";

export interface OptionSpec {
  readonly type: "string" | "boolean";
  /** What the value is called in the help: `N`, `DIR`. */
  readonly value?: string;
  readonly help: string;
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
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
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
}
