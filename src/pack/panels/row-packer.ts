/** Chooses how rows of a source type become rows of a panel. */
import { dequantize } from "../../formats/gguf/dequantize.ts";
import type { TensorType } from "../../formats/model-file.ts";
import { BLOCK_COLS, hasMinimum, type MatrixForm, type MinimumForm } from "../forms.ts";
import { sourceRowBytes } from "../image-plan.ts";
import { iq4NlPacker, iq4XsPacker, q8ZeroPacker } from "./eight-bit-rows.ts";
import { q5KPacker, q5OnePacker, q5ZeroPacker } from "./five-bit-rows.ts";
import { q4KPacker, q4OnePacker, q4ZeroPacker } from "./four-bit-rows.ts";
import { isFiniteBf16, type RowPacker } from "./panel-views.ts";
import { rowQuantizer } from "./quantize-row.ts";
import { searchingQuantizer } from "./search-row.ts";

/** Pairs that keep the source's codes, by `TYPE>form`. */
const DIRECT: Readonly<Partial<Record<`${TensorType}>${MatrixForm}`, DirectPacker>>> = {
  "Q4_0>q4": q4ZeroPacker,
  "Q4_1>q4m": q4OnePacker,
  "Q4_K>q4m": q4KPacker,
  "Q5_0>q6m": q5ZeroPacker,
  "Q5_1>q6m": q5OnePacker,
  "Q5_K>q6m": q5KPacker,
  "Q8_0>q8": q8ZeroPacker,
  "IQ4_NL>q8": iq4NlPacker,
  "IQ4_XS>q8": iq4XsPacker,
};

type DirectPacker = (blocks: number) => RowPacker;

/**
 * Whether packing keeps the source's values but for the rounding of scales and minima. The float
 * forms keep every bit of what fits them.
 */
export function keepsCodes(type: TensorType, form: MatrixForm): boolean {
  return form === "f32" || (form === "bf16" && type === "BF16") || `${type}>${form}` in DIRECT;
}

/** Whether packing may choose scales and minima by search, which importance guides. */
export function isSearchable(type: TensorType, form: MatrixForm): form is MinimumForm {
  return hasMinimum(form) && !keepsCodes(type, form);
}

/**
 * A packer for rows of `cols` weights of this type; quantizes again where it must, then with regard
 * to the columns' `importance` and in groups of `groupCols` (PackEntry).
 */
export function rowPacker(
  type: TensorType,
  form: MatrixForm,
  cols: number,
  importance?: Float32Array,
  groupCols: number = BLOCK_COLS,
): RowPacker {
  const direct = DIRECT[`${type}>${form}`];
  if (direct) return direct(cols / BLOCK_COLS);
  if (type === "BF16" && form === "bf16") return bf16Packer(cols);

  const values = new Float32Array(cols);
  const rowBytes = sourceRowBytes(type, cols);
  // Of six bits a search without importance gains nothing that texts show, for two seconds a head.
  const search = isSearchable(type, form) && (form !== "q6m" || importance !== undefined);
  const quantize = search
    ? searchingQuantizer(form, cols, importance, groupCols)
    : rowQuantizer(form, cols);
  return ({ u8 }, from, out, panel, row) => {
    dequantize(type, u8.subarray(from, from + rowBytes), values);
    return quantize(values, out, panel, row);
  };
}

function bf16Packer(cols: number): RowPacker {
  return ({ view }, from, { u16 }, panel, row) => {
    for (let i = 0, to = panel / 2 + row; i < cols; i++, to += 16) {
      const bits = view.getUint16(from + 2 * i, true);
      if (!isFiniteBf16(bits)) return false;
      u16[to] = bits;
    }
    return true;
  };
}
