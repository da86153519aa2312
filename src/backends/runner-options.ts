import type { KvType } from "./backend.ts";

/** What fixes a runner's memory plan. */
export interface RunnerOptions {
  /** Positions of a slot; a multiple of 8. */
  readonly ctx: number;
  readonly slots: number;
  /** Rows of a batch at most. */
  readonly maxRows: number;
  /** Rows of logits of a batch at most. */
  readonly maxLogits: number;
  /** The reference keeps f32 whatever is asked. */
  readonly kv: KvType;
}
