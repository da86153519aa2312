/** One of many texts, as a tree of what they have in common. */
import { choice, type Expression, NOTHING, sequence } from "./expression.ts";

const encoder: TextEncoder = new TextEncoder();

export function literalChoice(texts: Iterable<string>): Expression {
  const all = [...new Set(texts)].map((text) => encoder.encode(text));
  return treeOf(all.sort(compare), 0);
}

/** Of sorted texts that agree on their first `from` bytes. */
function treeOf(texts: readonly Uint8Array[], from: number): Expression {
  const groups: Uint8Array[][] = [];
  const alternatives: Expression[] = [];
  for (const text of texts) {
    if (text.length === from) {
      alternatives.push(NOTHING);
      continue;
    }
    const group = groups.at(-1);
    if (group !== undefined && group[0][from] === text[from]) group.push(text);
    else groups.push([text]);
  }
  for (const group of groups) {
    const [first] = group;
    const last = group.at(-1)!;
    let to = from + 1;
    // Sorted: what the first and the last have in common, all have.
    while (to < first.length && to < last.length && first[to] === last[to]) to++;
    const bytes = first.slice(from, to);
    const rest = group.length === 1 ? NOTHING : treeOf(group, to);
    const whole = group.length === 1 ? first.slice(from) : bytes;
    alternatives.push(sequence({ type: "literal", bytes: whole }, rest));
  }
  return choice(...alternatives);
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
