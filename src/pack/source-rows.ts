/**
 * Reads the rows of a source tensor for one run of panels at a time, in whatever order the pack
 * wants them, with a bounded buffer.
 */
import type { TensorInfo } from "../formats/model-file.ts";
import { PANEL_ROWS } from "./forms.ts";
import { type SourceBytes, sourceBytes } from "./panels/panel-views.ts";

/** A storage read of this size costs little beside its latency; two such buffers are held. */
export const PIECE_BYTES: number = 4 * 1024 * 1024;

/** Consecutive output rows [first, end), whole panels unless it is the tensor's end. */
export interface RowPiece {
  readonly first: number;
  readonly end: number;
  readonly source: SourceBytes;
  /** Where output row `row` starts in `source`. */
  start(row: number): number;
}

export class SourceRows {
  readonly #tensor: TensorInfo;
  readonly #rows: number;
  readonly #rowBytes: number;
  readonly #order: Int32Array | undefined;
  readonly #pieceBytes: number;
  #buffer: SourceBytes = sourceBytes(new Uint8Array(0));

  constructor(
    tensor: TensorInfo,
    rows: number,
    rowBytes: number,
    order: Int32Array | undefined,
    pieceBytes: number,
  ) {
    this.#tensor = tensor;
    this.#rows = rows;
    this.#rowBytes = rowBytes;
    this.#order = order;
    this.#pieceBytes = pieceBytes;
  }

  sourceRow(row: number): number {
    return this.#order ? this.#order[row] : row;
  }

  /** Reads the rows from `first` on, of at most `maxPanels` panels. Valid until the next call. */
  async read(first: number, maxPanels: number, signal?: AbortSignal): Promise<RowPiece> {
    let low = Number.POSITIVE_INFINITY;
    let high = -1;
    let end = first;
    // As many panels as lie within a window of the source; always one.
    while (end < this.#rows && end - first < maxPanels * PANEL_ROWS) {
      const next = Math.min(end + PANEL_ROWS, this.#rows);
      let nextLow = low;
      let nextHigh = high;
      for (let row = end; row < next; row++) {
        const source = this.sourceRow(row);
        nextLow = Math.min(nextLow, source);
        nextHigh = Math.max(nextHigh, source);
      }
      const bytes = (nextHigh - nextLow + 1) * this.#rowBytes;
      if (end > first && bytes > this.#pieceBytes) break;
      low = nextLow;
      high = nextHigh;
      end = next;
    }
    const span = (high - low + 1) * this.#rowBytes;
    const scattered = end - first <= PANEL_ROWS && span > this.#pieceBytes;
    return scattered
      ? this.#readScattered(first, end, signal)
      : this.#readWindow(first, end, low, span, signal);
  }

  async #readWindow(
    first: number,
    end: number,
    low: number,
    bytes: number,
    signal?: AbortSignal,
  ): Promise<RowPiece> {
    const source = this.#reserve(bytes);
    const start = this.#tensor.start + low * this.#rowBytes;
    await this.#tensor.source.readInto(source.u8.subarray(0, bytes), start, signal);
    return { first, end, source, start: (row) => (this.sourceRow(row) - low) * this.#rowBytes };
  }

  /** One panel whose rows lie far apart: a read for each. */
  async #readScattered(first: number, end: number, signal?: AbortSignal): Promise<RowPiece> {
    const source = this.#reserve((end - first) * this.#rowBytes);
    for (let row = first; row < end; row++) {
      const at = (row - first) * this.#rowBytes;
      const start = this.#tensor.start + this.sourceRow(row) * this.#rowBytes;
      const place = source.u8.subarray(at, at + this.#rowBytes);
      await this.#tensor.source.readInto(place, start, signal);
    }
    return { first, end, source, start: (row) => (row - first) * this.#rowBytes };
  }

  #reserve(bytes: number): SourceBytes {
    if (this.#buffer.u8.length < bytes) this.#buffer = sourceBytes(new Uint8Array(bytes));
    return this.#buffer;
  }
}
