/** What a scheduler is made with. */
import type { Runtime } from "./runtime.ts";
import type { Speculation } from "./speculator.ts";

/** What of its host the engine needs. */
export type EngineRuntime = Pick<Runtime, "yieldTask" | "now" | "randomSeed" | "digest">;

export interface SchedulerOptions {
  /** Requests that wait at most, beside those that run. */
  readonly maxQueue: number;
  /** Rows of a prompt's chunk at most. */
  readonly prefillRows: number;
  /** @throws PronkError where the model generates nothing. */
  readonly requireGenerating?: () => void;
  /** Generations go on when the context is full. */
  readonly contextShift: boolean;
  /** undefined: every batch runs what is known. */
  readonly speculation: Speculation | undefined;
  /** The model's fingerprint. */
  readonly fingerprint: string;
  /** Milliseconds that a batch of one row counts for where the clock stands still. */
  readonly stepMs: number;
  /** Bytes of all snapshots that are loaded. */
  readonly snapshotBytes: number;
}
