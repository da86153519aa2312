/**
 * A LoRA adapter on the GPU: factors, what is replaced, and room for its products, in buffers of its own. In a batch it
 * runs over all rows; a scale for each row says which it changes, and how much.
 */
import type { LoraAdapter } from "../../../adapters/lora-adapter.ts";
import type { Plan, Step } from "../../../model/plan.ts";
import { type ImagePlan, planImage } from "../../../pack/image-plan.ts";
import { packTensors } from "../../../pack/packer.ts";
import { checkRoom } from "../../adapter-table.ts";
import type { Span } from "../../backend.ts";
import { alignTo } from "../align.ts";
import { allocate } from "../allocate.ts";
import { Buffers } from "../buffers.ts";
import {
  type LoweredStep,
  type LoweringInput,
  lowerSteps,
  type RowsBuffer,
} from "../lower-steps.ts";
import type { RowTables } from "../lowered-plan.ts";
import { roomForRows } from "../row-tiles.ts";
import { WeightBuffers } from "../weight-buffers.ts";
import { adapterEntries } from "./adapter-image.ts";
import {
  type AdapterStep,
  adapterPieces,
  type ChangedRows,
  type LowRows,
} from "./adapter-steps.ts";

/** A product has three parts at most. */
const PLACES = 3;

/** (1 or 0, scale) of each row. */
const USE_WORDS = 2;

/** What a step's output becomes, in the order in which it does. */
export interface LoweredPieces {
  /** Copied before the step. */
  readonly kept: Kept | undefined;
  readonly replaced: readonly LoweredStep[];
  readonly biased: readonly LoweredStep[];
  readonly added: readonly LoweredStep[];
}

export interface Kept {
  readonly from: RowsBuffer;
  readonly to: RowsBuffer;
}

export interface AdaptedModel {
  /** Of the base. */
  readonly input: LoweringInput;
  readonly tables: RowTables;
  /** Rows of a batch at most. */
  readonly maxRows: number;
  /** Bytes of a buffer at most. */
  readonly limit: number;
}

export class WebgpuAdapter {
  readonly name: string;
  readonly replaced: ReadonlyMap<string, unknown>;
  /** Of its buffers, parameters of kernels left out. */
  readonly bytes: number;
  readonly #buffers: Buffers;
  readonly #weights: WeightBuffers;
  readonly #uses: RowTables;
  readonly #pieces = new Map<Step, LoweredPieces>();
  /** Of a row, in each place. */
  readonly #low: readonly RowsBuffer[];
  readonly #changed: GPUBuffer | undefined;

  private constructor(
    adapter: LoraAdapter,
    { input, tables, maxRows, limit }: AdaptedModel,
    { tensors, weightBytes }: ImagePlan,
  ) {
    this.name = adapter.name;
    this.replaced = adapter.replaced;
    const buffers = new Buffers(input.buffers.device);
    this.#buffers = buffers;
    const weights = new WeightBuffers(buffers, tensors, weightBytes, limit);
    this.#weights = weights;
    const rows = roomForRows(maxRows);
    const { lowColumns, changedColumns } = columnsOf(adapter, input.plan);
    this.#low = Array.from({ length: PLACES }, (_, place) => ({
      buffer: buffers.storage(rows * lowColumns * 4, `low ${place}`),
      stride: lowColumns,
    }));
    this.#changed =
      changedColumns > 0 ? buffers.storage(rows * changedColumns * 4, "changed") : undefined;
    const uses = (label: string): GPUBuffer => buffers.storage(maxRows * USE_WORDS * 4, label);
    this.#uses = { rows: uses("uses"), wanted: uses("wanted uses") };
    this.bytes = buffers.bytes;
    const own = { ...input, buffers, weights, isObserved: false };
    for (const which of ["rows", "wanted"] as const) {
      const steps = which === "rows" ? input.plan.steps : input.plan.head;
      this.#lower(adapter, steps, tables[which], {
        ...own,
        adapter: {
          base: input.weights,
          rows: (name) => this.#rows(name, input),
          uses: this.#uses[which],
        },
      });
    }
  }

  /**
   * The adapter was compared with the base.
   *
   * @param held bytes of the other adapters, which share `limit` with it
   * @throws PronkError "out_of_memory" with the bytes that it needs; "bad_format", "source_failed", "aborted".
   */
  static async load(
    adapter: LoraAdapter,
    model: AdaptedModel,
    { held, limit }: { readonly held: number; readonly limit: number },
    signal?: AbortSignal,
  ): Promise<WebgpuAdapter> {
    const entries = adapterEntries(adapter);
    const image = planImage(entries);
    const bytes = image.weightBytes + rowBytes(adapter, model);
    checkRoom(adapter.name, bytes, held, limit);
    const what = `${adapter.name}: the adapter needs ${bytes} bytes`;
    const { device } = model.input.buffers;
    const loaded = await allocate(device, what, () => new WebgpuAdapter(adapter, model, image));
    try {
      await packTensors(entries, (offset, packed) => loaded.#weights.write(offset, packed), {
        ...(signal && { signal }),
      });
    } catch (error) {
      loaded.dispose();
      throw error;
    }
    return loaded;
  }

  /** Of a step of the plan. */
  pieces(step: LoweredStep["of"]): LoweredPieces | undefined {
    return this.#pieces.get(step as Step);
  }

  /** Says which rows of these spans use it. */
  use(which: keyof RowTables, spans: readonly Span[], handle: number): void {
    const uses = spans.flatMap(({ count, adapters }) => {
      const own = adapters?.find((adapter) => adapter.handle === handle);
      return Array.from({ length: count }, () => (own ? [1, own.scale] : [0, 0])).flat();
    });
    this.#buffers.device.queue.writeBuffer(this.#uses[which], 0, Float32Array.from(uses));
  }

  dispose(): void {
    this.#buffers.dispose();
  }

  /** All at once: the parameters of all kernels lie in one buffer. */
  #lower(
    adapter: LoraAdapter,
    steps: readonly Step[],
    rows: GPUBuffer,
    input: LoweringInput,
  ): void {
    const all = steps.flatMap((step) => {
      const pieces = adapterPieces(step, adapter);
      return pieces ? [{ step, pieces }] : [];
    });
    const listed = all.flatMap(({ pieces: { replaced, biased, added } }) => [
      ...replaced,
      ...biased,
      ...added,
    ]);
    const lowered = lowerSteps(listed, rows, input);
    for (const { step, pieces } of all) {
      const of = (own: readonly AdapterStep[]): LoweredStep[] =>
        lowered.filter((one) => own.includes(one.of as AdapterStep));
      this.#pieces.set(step, {
        kept: pieces.keeps && {
          from: {
            buffer: input.activations[pieces.keeps.of],
            stride: input.strides[pieces.keeps.of],
          },
          to: this.#rows(pieces.keeps, input),
        },
        replaced: of(pieces.replaced),
        biased: of(pieces.biased),
        added: of(pieces.added),
      });
    }
  }

  #rows(name: LowRows | ChangedRows, { strides }: LoweringInput): RowsBuffer {
    if (name.kind === "low") return this.#low[name.place];
    return { buffer: this.#changed!, stride: strides[name.of] };
  }
}

/** What its buffers have beside the image. */
function rowBytes(adapter: LoraAdapter, { input, maxRows }: AdaptedModel): number {
  const { lowColumns, changedColumns } = columnsOf(adapter, input.plan);
  const rows = roomForRows(maxRows);
  return rows * (PLACES * lowColumns + changedColumns) * 4 + 2 * maxRows * USE_WORDS * 4;
}

function columnsOf(
  adapter: LoraAdapter,
  { steps, head, buffers }: Plan,
): { readonly lowColumns: number; readonly changedColumns: number } {
  const ranks = [...adapter.modules.values()].map(({ rank }) => alignTo(rank, 4));
  const changed = [...steps, ...head].flatMap((step) => {
    const isReplaced = (adapterPieces(step, adapter)?.replaced ?? []).length > 0;
    return isReplaced && "out" in step ? [alignTo(buffers[step.out], 4)] : [];
  });
  return { lowColumns: Math.max(0, ...ranks), changedColumns: Math.max(0, ...changed) };
}
