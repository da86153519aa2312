/** Sequences of a batch in pieces that a runner takes at once. */
import type { Span } from "../../backends/backend.ts";
import { PronkError } from "../../errors.ts";
import type { SequenceInput } from "./forward-inputs.ts";
import { spanAdapters } from "./model-adapters.ts";

/** Consecutive rows of a sequence, of what is run at once. */
export interface Piece {
  readonly b: number;
  readonly input: SequenceInput;
  /** Rows [from, to) of the input. */
  readonly from: number;
  readonly to: number;
  /** Rows that are cached before the input's first. */
  readonly cachedRows: number;
}

/** A piece as the runner takes it. */
export function spanOf(piece: Piece, slot: number, probabilities: boolean): Span {
  const { input, from, to, cachedRows } = piece;
  const count = to - from;
  const start = cachedRows + from;
  const positions = input.positions.slice(from, to);
  const counts = positions.every((position, i) => position === start + i);
  return {
    slot,
    start,
    count,
    length: input.length,
    ...(!counts && { positions }),
    ...(input.visible && { visible: visibleRows(input.visible, piece) }),
    ...(probabilities && { probabilities }),
    ...(input.adapters && { adapters: spanAdapters(input.adapters) }),
  };
}

/** The mask of a piece's rows, whose keys end with it. */
function visibleRows(visible: Uint8Array, { input, from, to, cachedRows }: Piece): Uint8Array {
  const all = cachedRows + input.columns.length;
  const keys = cachedRows + to;
  const rows = new Uint8Array((to - from) * keys);
  for (let row = from; row < to; row++) {
    const own = visible.subarray(row * all, (row + 1) * all);
    if (own.indexOf(1, keys) >= 0) {
      throw new PronkError(
        "unsupported",
        `attention_mask: it looks ahead of a chunk of ${to - from}`,
      );
    }
    rows.set(own.subarray(0, keys), (row - from) * keys);
  }
  return rows;
}

/** Batches of at most `maxRows`, in which no sequence comes twice and all have embeddings or none. */
export function* packBatches(
  pieces: readonly Piece[],
  maxRows: number,
): Generator<readonly Piece[]> {
  let left = pieces.filter(({ from, to }) => to > from);
  while (left.length > 0) {
    const batch: Piece[] = [];
    const rest: Piece[] = [];
    let room = maxRows;
    const hasEmbeds = left[0].input.embeds !== undefined;
    for (const piece of left) {
      const count = Math.min(room, piece.to - piece.from);
      if (count === 0 || (piece.input.embeds !== undefined) !== hasEmbeds) {
        rest.push(piece);
        continue;
      }
      room -= count;
      batch.push({ ...piece, to: piece.from + count });
      if (count < piece.to - piece.from) rest.push({ ...piece, from: piece.from + count });
    }
    yield batch;
    left = rest;
  }
}

/** The embeddings of pieces that have them, one after the other. */
export function joined(pieces: readonly Piece[], width: number): Float32Array {
  const parts = pieces.map(({ input, from, to }) =>
    input.embeds?.subarray(from * width, to * width),
  );
  const out = new Float32Array(parts.reduce((sum, part) => sum + (part?.length ?? 0), 0));
  let at = 0;
  for (const part of parts) {
    out.set(part ?? [], at);
    at += part?.length ?? 0;
  }
  return out;
}
