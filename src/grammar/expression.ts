/** What a grammar is made of: the one form that JSON Schemas, regular expressions and GBNF become. */

/** Inclusive bounds, ascending and apart. */
export type CodePointRanges = readonly (readonly [number, number])[];

export type Expression =
  /** These bytes of UTF-8. */
  | { readonly type: "literal"; readonly bytes: Uint8Array }
  /** One character of these. */
  | { readonly type: "class"; readonly ranges: CodePointRanges }
  | { readonly type: "sequence" | "choice"; readonly items: readonly Expression[] }
  /** `max` may be Infinity. */
  | {
      readonly type: "repeat";
      readonly item: Expression;
      readonly min: number;
      readonly max: number;
    }
  | { readonly type: "rule"; readonly name: string }
  /** Items in their order, those that are not required left out or not, with the separator between what is there. */
  | {
      readonly type: "list";
      readonly separator: Expression;
      readonly items: readonly { readonly text: Expression; readonly required: boolean }[];
    }
  /** Texts of `item` that are, or are not, of `filter`; neither calls a rule that calls itself. */
  | {
      readonly type: "both" | "except";
      readonly item: Expression;
      readonly filter: Expression;
    };

export interface Grammar {
  /** The rule that a whole text is. */
  readonly start: string;
  readonly rules: ReadonlyMap<string, Expression>;
  /** What is said of a grammar that no text is one of. */
  readonly nothing?: string;
}

export const LAST_CODE_POINT = 0x10ffff;

/** Matches the empty text. */
export const NOTHING: Expression = { type: "sequence", items: [] };

/** Matches no text at all. */
export const NEVER: Expression = { type: "choice", items: [] };

const encoder: TextEncoder = new TextEncoder();

export function literal(text: string): Expression {
  return { type: "literal", bytes: encoder.encode(text) };
}

export function sequence(...items: readonly Expression[]): Expression {
  return items.length === 1 ? items[0]! : { type: "sequence", items };
}

export function choice(...items: readonly Expression[]): Expression {
  return items.length === 1 ? items[0]! : { type: "choice", items };
}

export function repeat(item: Expression, min: number, max: number): Expression {
  return { type: "repeat", item, min, max };
}

export function both(item: Expression, filter: Expression): Expression {
  return { type: "both", item, filter };
}

export function except(item: Expression, filter: Expression): Expression {
  return { type: "except", item, filter };
}

export function optional(item: Expression): Expression {
  return repeat(item, 0, 1);
}

export function rule(name: string): Expression {
  return { type: "rule", name };
}

/** @param ranges in any order, and they may overlap */
export function characters(...ranges: readonly (readonly [number, number])[]): Expression {
  return { type: "class", ranges: normalizeRanges(ranges) };
}

/** Ascending and apart. */
export function normalizeRanges(ranges: CodePointRanges): CodePointRanges {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** All other code points. */
export function invertRanges(ranges: CodePointRanges): CodePointRanges {
  const inverted: [number, number][] = [];
  let next = 0;
  for (const [from, to] of normalizeRanges(ranges)) {
    if (from > next) inverted.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST_CODE_POINT) inverted.push([next, LAST_CODE_POINT]);
  return inverted;
}

/** Code points of both. */
export function commonRanges(a: CodePointRanges, b: CodePointRanges): CodePointRanges {
  const common: [number, number][] = [];
  for (let i = 0, k = 0; i < a.length && k < b.length; ) {
    const [from, to] = [Math.max(a[i]![0], b[k]![0]), Math.min(a[i]![1], b[k]![1])];
    if (from <= to) common.push([from, to]);
    if (a[i]![1] < b[k]![1]) i++;
    else k++;
  }
  return common;
}
