/** The adapters of a batch, around the steps of its plan. */
import type { Step } from "../../../model/plan.ts";
import type { AdapterTable } from "../../adapter-table.ts";
import type { Span } from "../../backend.ts";
import type { LoweredStep } from "../lower-steps.ts";
import type { RowTables } from "../lowered-plan.ts";
import type { Recorder } from "../recorder.ts";
import type { LoweredPieces, WebgpuAdapter } from "./webgpu-adapter.ts";

export class AdaptedBatch {
  readonly #used: ReadonlyMap<number, WebgpuAdapter>;

  constructor(spans: readonly Span[], table: AdapterTable<WebgpuAdapter>) {
    const handles = spans.flatMap(({ adapters = [] }) => adapters.map(({ handle }) => handle));
    this.#used = new Map(handles.map((handle) => [handle, table.get(handle)]));
  }

  /** Before steps over these rows are recorded. */
  use(which: keyof RowTables, spans: readonly Span[]): void {
    for (const [handle, adapter] of this.#used) adapter.use(which, spans, handle);
  }

  /** Before a step of the plan. */
  before(step: LoweredStep["of"], recorder: Recorder, rows: number): void {
    for (const { kept } of this.#pieces(step)) {
      if (!kept) continue;
      const bytes = rows * kept.from.stride * 4;
      recorder.copy(kept.from.buffer, 0, kept.to.buffer, 0, bytes);
    }
  }

  /** What runs after it. */
  after(step: LoweredStep["of"]): LoweredStep[] {
    const pieces = this.#pieces(step);
    return [
      ...pieces.flatMap(({ replaced }) => replaced),
      ...pieces.flatMap(({ biased }) => biased),
      ...pieces.flatMap(({ added }) => added),
    ];
  }

  #pieces(step: LoweredStep["of"]): LoweredPieces[] {
    return [...this.#used.values()].flatMap((adapter) => adapter.pieces(step as Step) ?? []);
  }
}
