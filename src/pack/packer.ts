/**
 * Tensors of any source format to the pack's image, streamed: the source is read in pieces, and the
 * image comes out from its first byte to its last. The same code fills a WebAssembly.Memory and
 * shards. It holds two pieces (or two panels, where rows are huge) and nothing else.
 */
import { PronkError, throwIfAborted } from "../errors.ts";
import { dequantize } from "../formats/gguf/dequantize.ts";
import type { TensorInfo } from "../formats/model-file.ts";
import { alignUp, type MatrixForm, PANEL_ROWS, panelBytes } from "./forms.ts";
import { type PackEntry, planImage, sourceRowBytes } from "./image-plan.ts";
import { type PanelViews, panelViews } from "./panels/panel-views.ts";
import { rowPacker } from "./panels/row-packer.ts";
import { PIECE_BYTES, SourceRows } from "./source-rows.ts";

/**
 * Takes the next bytes of the image: calls come in order and leave nothing out. `bytes` is valid
 * until the returned promise settles.
 */
export type WriteImage = (offset: number, bytes: Uint8Array) => void | Promise<void>;

export interface PackProgress {
  /** Bytes of the image that are done. */
  readonly packed: number;
  readonly total: number;
}

export interface PackTensorsOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PackProgress) => void;
  /** Bytes of a piece of the source or the image; the result does not depend on it. */
  readonly pieceBytes?: number;
}

/**
 * Packs the tensors, in the order given.
 *
 * @throws PronkError as planImage; "bad_format" naming tensor and row when a weight or scale is
 *   infinite or NaN; "source_failed"; "aborted"; and what the sink throws.
 */
export async function packTensors(
  entries: readonly PackEntry[],
  write: WriteImage,
  options: PackTensorsOptions = {},
): Promise<void> {
  const { signal, onProgress, pieceBytes = PIECE_BYTES } = options;
  const plan = planImage(entries);
  const total = plan.weightBytes;
  // Outputs of a piece share one buffer, so a sink that keeps bytes has to copy them.
  let out = panelViews(0);
  const reserve = (bytes: number): PanelViews => {
    if (out.u8.length < bytes) out = panelViews(bytes);
    return out;
  };

  for (const [i, entry] of entries.entries()) {
    const { offset } = plan.tensors[i];
    const emit = async (at: number, bytes: Uint8Array): Promise<void> => {
      await write(offset + at, bytes);
      onProgress?.({ packed: offset + at + bytes.length, total });
      throwIfAborted(signal);
    };
    throwIfAborted(signal);
    if (entry.form === "vector") await emit(0, await packVector(entry, signal));
    else await packMatrix(entry, entry.form, reserve, emit, pieceBytes, signal);
  }
}

async function packMatrix(
  entry: PackEntry,
  form: MatrixForm,
  reserve: (bytes: number) => PanelViews,
  emit: WriteImage,
  pieceBytes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { tensor, rowOrder } = entry;
  const [rows, cols] = tensor.shape;
  const rowBytes = sourceRowBytes(tensor.type, cols);
  const source = new SourceRows(tensor, rows, rowBytes, rowOrder, pieceBytes);
  const packRow = rowPacker(tensor.type, form, cols, entry.importance, entry.groupCols);
  const size = panelBytes(form, cols);
  const maxPanels = Math.max(1, Math.floor(pieceBytes / size));

  for (let first = 0; first < rows; ) {
    const piece = await source.read(first, maxPanels, signal);
    const bytes = Math.ceil((piece.end - first) / PANEL_ROWS) * size;
    const out = reserve(bytes);
    // Full panels are written everywhere; the padding of a last one is zeros.
    if (piece.end % PANEL_ROWS !== 0) out.u8.fill(0, bytes - size, bytes);
    for (let row = first; row < piece.end; row++) {
      const panel = Math.floor((row - first) / PANEL_ROWS) * size;
      if (!packRow(piece.source, piece.start(row), out, panel, row % PANEL_ROWS)) {
        throw notFinite(tensor, `row ${source.sourceRow(row)}`);
      }
    }
    await emit((first / PANEL_ROWS) * size, out.u8.subarray(0, bytes));
    first = piece.end;
  }
}

/** The vector as f32, padded to the alignment. */
async function packVector(entry: PackEntry, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const { tensor, rowOrder } = entry;
  const [length] = tensor.shape;
  const source = new Uint8Array(tensor.bytes);
  await tensor.source.readInto(source, tensor.start, signal);
  const values = new Float32Array(length);
  dequantize(tensor.type, source, values);
  const out = new Float32Array(alignUp(length * 4) / 4);
  for (let i = 0; i < length; i++) {
    const from = rowOrder ? rowOrder[i] : i;
    out[i] = values[from];
    if (!Number.isFinite(out[i])) throw notFinite(tensor, `element ${from}`);
  }
  return new Uint8Array(out.buffer);
}

function notFinite(tensor: TensorInfo, where: string): PronkError {
  return bad(tensor, `${where}: a weight or scale is infinite or NaN, or too large for its form`);
}

function bad(tensor: TensorInfo, what: string): PronkError {
  return new PronkError("bad_format", `${tensor.source.name}: tensor ${tensor.name}: ${what}`);
}
