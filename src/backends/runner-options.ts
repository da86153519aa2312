import type { Step } from "../model/plan.ts";
import type { KvType, Span } from "./backend.ts";

/** The input of a matrix product, while it is about to run. */
export interface ObservedProduct {
  readonly step: Extract<Step, { op: "matmul" }>;
  /** (rows, stride) f32, of which the first `step.cols` columns are the input: a view, valid now. */
  readonly input: Float32Array;
  readonly rows: number;
  readonly stride: number;
}

/** What a plan's `tap`, or an attention step with `probabilities`, shows. */
export interface Tap {
  readonly name: string;
  /** (rows, stride) f32: a view, valid now. */
  readonly data: Float32Array;
  readonly rows: number;
  readonly stride: number;
  /** Of probabilities, whose rows are (heads, keys): the rows' place in the batch. */
  readonly span?: Span;
}

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
  /**
   * Called before each matrix product, for calibration: the wasm backend then writes every input as
   * f32, which is slower and gives the same bits.
   */
  readonly observe?: (product: ObservedProduct) => void;
  /** Called at the plan's taps. */
  readonly tap?: (tap: Tap) => void;
  /** Whether anybody looks at the taps of a batch that is about to run; default: always. What is not looked at may not be shown. */
  readonly isTapped?: () => boolean;
  /** Room for `visible` and `probabilities` of spans; the cache must be f32. Default false. */
  readonly masks?: boolean;
  /** Bytes that adapters may take together; default: what the engine gives. */
  readonly adapterBytes?: number;
  /** Threads that run a batch at most, each with scratch of its own; one where there are taps. Default 1. */
  readonly threads?: number;
}
