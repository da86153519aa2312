/**
 * What a stage does for a batch, and what it answers: the one interface of stages in this process, in another isolate
 * and on another host. Arrays are row-major f32; what a reply holds is valid until the stage's next call.
 */
import type { MemoryUse, Span } from "../backends/backend.ts";
import type { StagePart } from "./stage-part.ts";
import type { StageOptions } from "./stage-plan.ts";

/** Rows that a request carries no id for: they come as numbers. */
export const NO_ID = -1;

export interface StageRequest {
  /** Rows of the batch. */
  readonly rows: number;
  /** (rows,) ids that this stage's rows of the embedding have; NO_ID where the row is in `x`. */
  readonly ids?: Int32Array;
  /** (rows, width) the residual stream before this stage, where not all of it is embedded here. */
  readonly x?: Float32Array;
  /** Cover the rows; present where its layers are to be run. */
  readonly spans?: readonly Span[];
  /** Rows whose results are wanted, ascending: for the last layer, and for the head. */
  readonly wanted: readonly number[];
  /** (wanted, width) normalised states, for a head that is not where they are made. */
  readonly states?: Float32Array;
  /** What is wanted of this stage's rows of the head. */
  readonly head: "none" | "logits" | "argmax";
}

export interface StageReply {
  /** (rows, width) after this stage; absent from the last layer's. */
  readonly x?: Float32Array;
  /** (wanted, width) normalised states, of the last layer's stage. */
  readonly states?: Float32Array;
  /** (wanted, the stage's head rows) */
  readonly logits?: Float32Array;
  /** (wanted,) of this stage's rows, counted in the whole vocabulary; the lowest id wins a tie. */
  readonly best?: { readonly ids: Int32Array; readonly values: Float32Array };
}

/** What is known of a stage before it runs; of a remote one, what it said of itself. */
export interface StageInfo {
  readonly part: StagePart;
  readonly sizes: StageOptions;
  readonly width: number;
  readonly vocab: number;
  readonly kernel: string;
  readonly memory: MemoryUse;
}

/** A stage's part of the cache, where it is in this process. Layers are counted in the model. */
export interface StageCache {
  /** Of `save`, for each position. */
  positionBytes(): number;
  read(
    slot: number,
    layer: number,
    positions: number,
  ): { keys: Float32Array; values: Float32Array };
  save(slot: number, layer: number, positions: number): Uint8Array;
  load(slot: number, layer: number, positions: number, saved: Uint8Array): void;
}

export interface Stage {
  readonly info: StageInfo;
  /** Why it runs nothing any more, in this process: a kernel trapped, or it was disposed. It has to be loaded anew. */
  readonly failure?: string | undefined;
  /**
   * @throws PronkError "bad_request" for what does not fit the stage, which is as it was; "engine_failed" after a trap,
   *   and, with `retryAfterMs`, when the stage was lost: its cache is empty when it is reached again.
   */
  run(request: StageRequest): StageReply | Promise<StageReply>;
  /** What slot `from` holds of the first `positions` is then in slot `to`, too: before the next `run`. */
  copySlot(from: number, to: number, positions: number): void;
  /** Only where the stage is in this process. */
  readonly cache?: StageCache;
  dispose(): void;
}
