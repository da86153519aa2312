/** Where the tensors of a pack lie in its image, before any is read. */
import { PronkError } from "../errors.ts";
import { TYPE_BLOCKS } from "../formats/gguf/types.ts";
import type { TensorInfo, TensorType } from "../formats/model-file.ts";
import {
  alignUp,
  BLOCK_COLS,
  isQuantized,
  MAX_COLS,
  MAX_ROWS,
  type WeightForm,
  weightBytes,
} from "./forms.ts";
import type { PackedTensor } from "./manifest.ts";

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

/** Bytes of a row of `cols` weights, which must be whole blocks of the type. */
export function sourceRowBytes(type: TensorType, cols: number): number {
  const block = TYPE_BLOCKS[type];
  return (cols / block.elements) * block.bytes;
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
