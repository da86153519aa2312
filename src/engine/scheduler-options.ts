/** What a scheduler is made with. */
import type { GrammarSpec } from "../grammar/grammar-compiler.ts";
import type { GrammarMatcher } from "../grammar/matcher.ts";
import type { Runtime } from "./runtime.ts";
import type { Speculation } from "./speculator.ts";

/** What of its host the engine needs. */
export type EngineRuntime = Pick<Runtime, "yieldTask" | "now" | "randomSeed" | "digest">;

/** Grammars of one vocabulary. */
export interface Grammars {
  /** Before the first token of an output. @throws PronkError: what is wrong with the grammar. */
  matcher(spec: GrammarSpec): GrammarMatcher;
  /** @throws PronkError as `matcher` does. */
  check(spec: GrammarSpec): void;
  /** Their code, where it comes later; undefined once it is there. */
  pending?(): Promise<void> | undefined;
}

export interface SchedulerOptions {
  /** Requests that wait at most, beside those that run. */
  readonly maxQueue: number;
  /** Rows of a prompt's chunk at most. */
  readonly prefillRows: number;
  /** @throws PronkError where the model generates nothing. */
  readonly requireGenerating?: () => void;
  /** Generations go on when the context is full. */
  readonly contextShift: boolean;
  readonly grammars: Grammars;
  /** undefined: every batch runs what is known. */
  readonly speculation: Speculation | undefined;
  /** The model's fingerprint. */
  readonly fingerprint: string;
  /** LoadedModel's. */
  readonly contents?: string | undefined;
  /** Milliseconds that a batch of one row counts for where the clock stands still. */
  readonly stepMs: number;
  /** Bytes of all snapshots that are loaded. */
  readonly snapshotBytes: number;
}
