/**
 * Tensors of any source format to the pack's image, streamed: the source is read in pieces, and the
 * image comes out from its first byte to its last. The same code fills a WebAssembly.Memory and
 * shards. It holds two pieces (or two panels, where rows are huge) and nothing else.
 */
import { PronkError, throwIfAborted } from "../errors.ts";
import { dequantize } from "../formats/gguf/dequantize.ts";
import { TYPE_BLOCKS } from "../formats/gguf/types.ts";
import type { TensorInfo } from "../formats/model-file.ts";
import {
  alignUp,
  BLOCK_COLS,
  isQuantized,
  MAX_COLS,
  MAX_ROWS,
  type MatrixForm,
  PANEL_ROWS,
  panelBytes,
  type WeightForm,
  weightBytes,
} from "./forms.ts";
import type { PackedTensor } from "./manifest.ts";
import { type PanelViews, panelViews } from "./panels/panel-views.ts";
import { rowPacker, sourceRowBytes } from "./panels/row-packer.ts";
import { PIECE_BYTES, SourceRows } from "./source-rows.ts";

/** A tensor of the pack, and where it comes from. */
export interface PackEntry {
  /** Hugging Face's name. */
  readonly name: string;
  readonly tensor: TensorInfo;
  readonly form: WeightForm;
  /** Row i of the pack is row rowOrder[i] of the source; absent: the same order. */
  readonly rowOrder?: Int32Array;
  /**
   * (cols,) how much an error in each column counts where scales are searched: the mean square of
   * what the column is multiplied by. Finite, not negative. Absent: all count alike.
   */
  readonly importance?: Float32Array;
  /**
   * Columns that share a scale and a minimum where they are searched: a multiple of 32. Default 32.
   */
  readonly groupCols?: number;
}

export interface ImagePlan {
  readonly tensors: readonly PackedTensor[];
  /** Bytes of the image: a multiple of TENSOR_ALIGNMENT. */
  readonly weightBytes: number;
}

/**
 * Takes the next bytes of the image: calls come in order and leave nothing out. `bytes` is valid
 * until the returned promise settles.
 */
export type ImageSink = (offset: number, bytes: Uint8Array) => void | Promise<void>;

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
 * Lays the tensors out, in the order given, without reading them.
 *
 * @throws PronkError "bad_format" when a tensor's shape does not fit its form, type or bytes;
 *   "unsupported" when it is larger than any known model's.
 */
export function planImage(entries: readonly PackEntry[]): ImagePlan {
  let end = 0;
  const tensors = entries.map((entry) => {
    checkEntry(entry);
    const { name, form, tensor } = entry;
    const offset = end;
    const bytes = weightBytes(form, tensor.shape);
    end = alignUp(offset + bytes);
    const { type } = tensor;
    const isWidened = (form === "f32" || form === "vector") && (type === "F16" || type === "BF16");
    return {
      name,
      form,
      shape: [...tensor.shape],
      offset,
      bytes,
      ...(isWidened && { dtype: type }),
    };
  });
  return { tensors, weightBytes: end };
}

/**
 * Packs the tensors, in the order given.
 *
 * @throws PronkError as planImage; "bad_format" naming tensor and row when a weight or scale is
 *   infinite or NaN; "source_failed"; "aborted"; and what the sink throws.
 */
export async function packTensors(
  entries: readonly PackEntry[],
  write: ImageSink,
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
  emit: ImageSink,
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

function checkEntry({ tensor, form, rowOrder, importance }: PackEntry): void {
  const { shape, type } = tensor;
  const isVector = form === "vector";
  const cols = shape[shape.length - 1];
  const rows = isVector ? 1 : shape[0];
  if (shape.length !== (isVector ? 1 : 2) || !shape.every((n) => Number.isInteger(n) && n > 0)) {
    throw bad(tensor, `shape [${shape}] is not that of a ${isVector ? "vector" : "matrix"}`);
  }
  if (rows > MAX_ROWS || cols > MAX_COLS) {
    throw new PronkError(
      "unsupported",
      `${tensor.source.name}: tensor ${tensor.name}: shape [${shape}], at most [${MAX_ROWS},${MAX_COLS}]`,
    );
  }
  const block = isVector || !isQuantized(form) ? 1 : BLOCK_COLS;
  if (cols % block !== 0 || cols % TYPE_BLOCKS[type].elements !== 0) {
    throw bad(tensor, `${cols} columns are not whole blocks of ${type} and of the form ${form}`);
  }
  const expected = rows * sourceRowBytes(type, cols);
  if (tensor.bytes !== expected) {
    throw bad(tensor, `${tensor.bytes} bytes, but [${shape}] ${type} has ${expected}`);
  }
  if (importance && !(importance.length === cols && importance.every((h) => h >= 0 && h < 1e38))) {
    throw bad(tensor, `its importance does not fit ${cols} columns, finite and not negative`);
  }
  const length = shape[0];
  if (rowOrder && (rowOrder.length !== length || !rowOrder.every((r) => r >= 0 && r < length))) {
    throw bad(tensor, `its row order does not fit ${length} rows`);
  }
}
