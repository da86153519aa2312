/** One encoded text or pair, and what truncation, padding and joining do to it. */
import { PronkError } from "../../errors.ts";

export type Side = "left" | "right";

/** In `sequences`: of no text. */
const NO_SEQUENCE = -1;

/** In `words`: of no word; as NO_SEQUENCE. */
const NO_WORD = -1;

/** Rows of equal length, never changed; `overflowing` holds what truncation cut off. */
export interface Encoding {
  readonly ids: readonly number[];
  readonly type_ids: Uint8Array;
  /**
   * Start and end of each token, two numbers: UTF-16 units of the token's own text, 0 and 0 for what
   * was added. Undefined when nobody asked for them.
   */
  readonly places: Uint32Array | undefined;
  readonly special_tokens_mask: Uint8Array;
  readonly attention_mask: Uint8Array;
  /** 0 or 1 for the first and the second text, NO_SEQUENCE for what was added. */
  readonly sequences: Int8Array;
  /**
   * Which word of its text each token is of, NO_WORD for what was added. Undefined when nobody asked for
   * them.
   */
  readonly words: Int32Array | undefined;
  readonly overflowing: readonly Encoding[];
}

/** Of a text's tokens. */
export function encodingOf(
  ids: readonly number[],
  places: readonly number[] | undefined,
  type: number,
  words?: Int32Array,
): Encoding {
  const { length } = ids;
  return {
    ids,
    type_ids: new Uint8Array(length).fill(type),
    places: places === undefined ? undefined : new Uint32Array(places),
    special_tokens_mask: new Uint8Array(length),
    attention_mask: new Uint8Array(length).fill(1),
    sequences: new Int8Array(length).fill(type),
    words,
    overflowing: [],
  };
}

/** A token that stands for no text. */
export function specialEncoding(id: number, type: number): Encoding {
  return {
    ids: [id],
    type_ids: Uint8Array.of(type),
    places: undefined,
    special_tokens_mask: Uint8Array.of(1),
    attention_mask: Uint8Array.of(1),
    sequences: Int8Array.of(NO_SEQUENCE),
    words: undefined,
    overflowing: [],
  };
}

function slice(encoding: Encoding, start: number, end: number): Encoding {
  return {
    ids: encoding.ids.slice(start, end),
    type_ids: encoding.type_ids.subarray(start, end),
    places: encoding.places?.subarray(2 * start, 2 * end),
    special_tokens_mask: encoding.special_tokens_mask.subarray(start, end),
    attention_mask: encoding.attention_mask.subarray(start, end),
    sequences: encoding.sequences.subarray(start, end),
    words: encoding.words?.subarray(start, end),
    overflowing: [],
  };
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
  if (first === undefined) return encodingOf([], undefined, 0);
  if (rest.length === 0) return first;
  if (parts.every(({ overflowing }) => overflowing.length === 0)) return joinRows(parts);
  return rest.reduce(joinTwo, first);
}

/** Without overflows. */
function joinRows(parts: readonly Encoding[]): Encoding {
  let length = 0;
  for (const { ids } of parts) length += ids.length;
  const joined = {
    ids: ([] as number[]).concat(...parts.map(({ ids }) => ids)),
    type_ids: new Uint8Array(length),
    places: parts.some(({ places }) => places !== undefined)
      ? new Uint32Array(2 * length)
      : undefined,
    special_tokens_mask: new Uint8Array(length),
    attention_mask: new Uint8Array(length),
    sequences: new Int8Array(length),
    words: parts.some(({ words }) => words !== undefined)
      ? new Int32Array(length).fill(NO_WORD)
      : undefined,
    overflowing: [],
  };
  let at = 0;
  for (const part of parts) {
    joined.type_ids.set(part.type_ids, at);
    if (part.places !== undefined) joined.places!.set(part.places, 2 * at);
    joined.special_tokens_mask.set(part.special_tokens_mask, at);
    joined.attention_mask.set(part.attention_mask, at);
    joined.sequences.set(part.sequences, at);
    if (part.words !== undefined) joined.words!.set(part.words, at);
    at += part.ids.length;
  }
  return joined;
}

function joinTwo(a: Encoding, b: Encoding): Encoding {
  const withB = a.overflowing.flatMap((o) => [
    joinTwo(o, b),
    ...b.overflowing.map((other) => joinTwo(o, other)),
  ]);
  const plain = { ...a, overflowing: [] };
  const withA = b.overflowing.map((other) => joinTwo(plain, other));
  return { ...joinRows([a, b]), overflowing: [...withB, ...withA] };
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
  const padding: Encoding = {
    ids: Array<number>(missing).fill(pad.id),
    type_ids: new Uint8Array(missing).fill(pad.type),
    places: undefined,
    special_tokens_mask: new Uint8Array(missing).fill(1),
    attention_mask: new Uint8Array(missing),
    sequences: new Int8Array(missing).fill(NO_SEQUENCE),
    words: undefined,
    overflowing: [],
  };
  return { ...joinRows(side === "left" ? [padding, encoding] : [encoding, padding]), overflowing };
}

/** Numbers of a typed array as a list. */
export function toList(values: Uint8Array): number[] {
  const list = new Array<number>(values.length);
  for (let i = 0; i < values.length; i++) list[i] = values[i]!;
  return list;
}

/** Numbers of sequences or words as a list: null for none; all are null where there are no numbers. */
export function toNullable(
  values: ArrayLike<number> | undefined,
  count: number,
): (number | null)[] {
  return Array.from({ length: count }, (_, i) => {
    const value = values?.[i] ?? NO_WORD;
    return value === NO_WORD ? null : value;
  });
}

/** Places as pairs; all are [0, 0] where there are none. */
export function toPairs(places: Uint32Array | undefined, count: number): [number, number][] {
  const pairs = new Array<[number, number]>(count);
  for (let i = 0; i < count; i++) {
    pairs[i] = places === undefined ? [0, 0] : [places[2 * i]!, places[2 * i + 1]!];
  }
  return pairs;
}
