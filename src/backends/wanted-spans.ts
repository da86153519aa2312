import type { Span } from "./backend.ts";

/**
 * The spans of some rows of a batch, ascending: what is left of its spans when the other rows are
 * taken away. A slot comes more than once where its wanted rows are not neighbours.
 */
export function wantedSpans(spans: readonly Span[], rows: readonly number[]): Span[] {
  const wanted: Span[] = [];
  let next = 0;
  let first = 0; // row of the span at hand
  for (const { slot, start, count, positions, visible, probabilities, adapters } of spans) {
    while (next < rows.length && rows[next] < first + count) {
      const from = next;
      do next++;
      while (next < rows.length && rows[next] === rows[next - 1] + 1 && rows[next] < first + count);
      const at = rows[from] - first;
      const rowCount = next - from;
      const keys = start + count;
      wanted.push({
        slot,
        start: start + at,
        count: rowCount,
        ...(positions && { positions: Array.from(positions).slice(at, at + rowCount) }),
        ...(probabilities && { probabilities }),
        ...(adapters && { adapters }),
        ...(visible && { visible: visible.subarray(at * keys, (at + rowCount) * keys) }),
      });
    }
    first += count;
  }
  return wanted;
}
