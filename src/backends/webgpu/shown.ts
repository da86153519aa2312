/** What somebody looks at while a batch runs: it is read back. */
import type { BufferName } from "../../model/plan.ts";
import type { Span } from "../backend.ts";
import type { RunnerOptions } from "../runner-options.ts";
import type { LoweredStep } from "./lower-steps.ts";
import type { Masks } from "./mask-buffers.ts";
import type { Recorder } from "./recorder.ts";

type ShownStep = Exclude<LoweredStep, { op: "dispatch" | "embed" }>;

export class Shown {
  readonly #options: Pick<RunnerOptions, "tap" | "isTapped" | "observe">;
  readonly #activations: Readonly<Record<BufferName, GPUBuffer>>;
  readonly #strides: Readonly<Record<BufferName, number>>;
  readonly #masks: Masks | undefined;

  constructor(
    options: Pick<RunnerOptions, "tap" | "isTapped" | "observe">,
    activations: Readonly<Record<BufferName, GPUBuffer>>,
    strides: Readonly<Record<BufferName, number>>,
    masks: Masks | undefined,
  ) {
    this.#options = options;
    this.#activations = activations;
    this.#strides = strides;
    this.#masks = masks;
  }

  /** Taps of the batch at hand are looked at. */
  get isTapped(): boolean {
    const { tap, isTapped } = this.#options;
    return tap !== undefined && (isTapped?.() ?? true);
  }

  record(recorder: Recorder, step: ShownStep, rows: number, spans: readonly Span[]): void {
    const { observe } = this.#options;
    const tap = this.isTapped ? this.#options.tap : undefined;
    if (step.op === "probabilities") {
      const masks = this.#masks;
      const bytes = masks?.shownBytes(spans) ?? 0;
      if (!masks || !tap || bytes === 0) return;
      recorder.read(masks.probabilities, bytes, ({ buffer }) => {
        masks.show(step.name, spans, new Float32Array(buffer), tap);
      });
      return;
    }
    const name = step.op === "tap" ? step.buffer : step.step.in;
    const stride = this.#strides[name];
    if (!(step.op === "tap" ? tap : observe)) return;
    recorder.read(this.#activations[name], rows * stride * 4, ({ buffer }) => {
      const numbers = new Float32Array(buffer);
      if (step.op === "tap") tap?.({ name: step.name, data: numbers, rows, stride });
      else observe?.({ step: step.step, input: numbers, rows, stride });
    });
  }
}
