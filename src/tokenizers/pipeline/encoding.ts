/** One encoded text or pair, and what truncation, padding and joining do to it. */
import { PronkError } from "../../errors.ts";
import type { Offset } from "../symbols.ts";

export type Side = "left" | "right";

/** Rows of equal length; `overflowing` holds what truncation cut off. */
export interface Encoding {
  ids: number[];
  type_ids: number[];
  /** In UTF-16 units of the token's own text; [0, 0] for what was added. */
  offsets: Offset[];
  special_tokens_mask: number[];
  attention_mask: number[];
  /** 0 or 1 for the first and the second text, null for what was added. */
  sequence_ids: (number | null)[];
  overflowing: Encoding[];
}

const ROWS = [
  "ids",
  "type_ids",
  "offsets",
  "special_tokens_mask",
  "attention_mask",
  "sequence_ids",
] as const;

export function encodingOf(ids: number[], offsets: Offset[], type: number): Encoding {
  return {
    ids,
    type_ids: ids.map(() => type),
    offsets,
    special_tokens_mask: ids.map(() => 0),
    attention_mask: ids.map(() => 1),
    sequence_ids: ids.map(() => type),
    overflowing: [],
  };
}

/** A token that stands for no text. */
export function specialEncoding(id: number, type: number): Encoding {
  return {
    ids: [id],
    type_ids: [type],
    offsets: [[0, 0]],
    special_tokens_mask: [1],
    attention_mask: [1],
    sequence_ids: [null],
    overflowing: [],
  };
}

function slice(encoding: Encoding, start: number, end: number): Encoding {
  const part: Record<string, unknown> = { overflowing: [] };
  for (const row of ROWS) part[row] = encoding[row].slice(start, end);
  return part as unknown as Encoding;
}

/**
 * Keeps `length` tokens; the rest overflows, in windows of `length` that share `stride` tokens.
 *
 * @throws PronkError "bad_request" when windows would not go on.
 */
export function truncateEncoding(
  encoding: Encoding,
  length: number,
  stride: number,
  side: Side,
): Encoding {
  const total = encoding.ids.length;
  if (length >= total) return encoding;
  if (length === 0) return { ...slice(encoding, 0, 0), overflowing: [encoding] };
  if (stride >= length) {
    throw new PronkError("bad_request", `tokenizer: stride ${stride} of windows of ${length}`, {
      param: "stride",
    });
  }
  const windows: Encoding[] = [];
  const hop = length - stride;
  if (side === "right") {
    for (let start = 0; ; start += hop) {
      const end = Math.min(start + length, total);
      windows.push(slice(encoding, start, end));
      if (end === total) break;
    }
  } else {
    for (let end = total; ; end -= hop) {
      const start = Math.max(0, end - length);
      windows.push(slice(encoding, start, end));
      if (start === 0) break;
    }
  }
  const [kept, ...overflowing] = windows as [Encoding, ...Encoding[]];
  return { ...kept, overflowing };
}

/** One behind the other; of overflows every combination, as the `tokenizers` library has it. */
export function joinEncodings(parts: readonly Encoding[]): Encoding {
  const [first, ...rest] = parts;
  if (first === undefined) return encodingOf([], [], 0);
  return rest.reduce(joinTwo, first);
}

function joinTwo(a: Encoding, b: Encoding): Encoding {
  const joined: Record<string, unknown> = {};
  for (const row of ROWS) joined[row] = [...a[row], ...b[row]];
  const withB = a.overflowing.flatMap((o) => [
    joinTwo(o, b),
    ...b.overflowing.map((other) => joinTwo(o, other)),
  ]);
  const plain = { ...a, overflowing: [] };
  const withA = b.overflowing.map((other) => joinTwo(plain, other));
  joined.overflowing = [...withB, ...withA];
  return joined as unknown as Encoding;
}

/** Fills up to `length` with the pad token. */
export function padEncoding(
  encoding: Encoding,
  length: number,
  pad: { readonly id: number; readonly type: number },
  side: Side,
): Encoding {
  const missing = length - encoding.ids.length;
  const overflowing = encoding.overflowing.map((o) => padEncoding(o, length, pad, side));
  if (missing <= 0) return { ...encoding, overflowing };
  const fill = <T>(row: readonly T[], value: T): T[] => {
    const added = Array<T>(missing).fill(value);
    return side === "left" ? [...added, ...row] : [...row, ...added];
  };
  return {
    ids: fill(encoding.ids, pad.id),
    type_ids: fill(encoding.type_ids, pad.type),
    offsets: fill(encoding.offsets, [0, 0]),
    special_tokens_mask: fill(encoding.special_tokens_mask, 1),
    attention_mask: fill(encoding.attention_mask, 0),
    sequence_ids: fill<number | null>(encoding.sequence_ids, null),
    overflowing,
  };
}
