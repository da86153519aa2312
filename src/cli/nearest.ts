/** What somebody may have meant who mistyped a name. */

/** More of a word's letters than this wrong, and it is another word. */
const MOST_WRONG = 0.4;

/** The name that is nearest to `typed`, by letters to change; undefined where none is near. */
export function nearestName(typed: string, names: readonly string[]): string | undefined {
  const wanted = typed.toLowerCase();
  let best: { name: string; edits: number } | undefined;
  for (const name of names) {
    const edits = countEdits(wanted, name.toLowerCase());
    if (edits > Math.max(1, Math.floor(wanted.length * MOST_WRONG))) continue;
    if (best === undefined || edits < best.edits) best = { name, edits };
  }
  // Whoever types the beginning of a name means it.
  const begun = wanted.length >= 3 ? names.filter((name) => name.startsWith(wanted)) : [];
  return best?.name ?? (begun.length === 1 ? begun[0] : undefined);
}

/** Letters that are put in, left out, replaced, or swapped with their neighbour (Damerau, restricted). */
function countEdits(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      row[j] = Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
    }
    rows.push(row);
  }
  return rows[a.length][b.length];
}
