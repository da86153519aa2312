/**
 * A regular expression's texts of certain lengths: not all of them, but only such. What repeats is given bounds, so
 * that nothing has to be counted over the whole text.
 */
import { both, characters, type Expression, LAST_CODE_POINT, NEVER, repeat } from "./expression.ts";

const MAX_COUNTED = 1_000;

const ENDLESS: number = Number.POSITIVE_INFINITY;
const decoder: TextDecoder = new TextDecoder();

/**
 * Where no bounds of what repeats give such texts, characters are counted after all, up to 1,000.
 *
 * @returns undefined where that would be too many.
 */
export function boundText(text: Expression, min: number, max: number): Expression | undefined {
  const bounded = boundLoops(text, min, max);
  if (bounded !== undefined || Math.min(max, 2 * min) > MAX_COUNTED) return bounded;
  const most = Math.min(max, longest(text)) > MAX_COUNTED ? ENDLESS : max;
  if (most === ENDLESS && max !== ENDLESS) return undefined;
  return both(text, repeat(characters([0, LAST_CODE_POINT]), min, most));
}

function boundLoops(text: Expression, min: number, max: number): Expression | undefined {
  let bounded: Expression = text;
  if (longest(text) > max) {
    const loops = countLoops(text);
    const slack = max - shortest(text);
    if (slack < 0) return undefined;
    bounded = shorten(text, Math.floor(slack / Math.max(1, loops)));
    if (longest(bounded) > max) return undefined;
  }
  const missing = min - shortest(bounded);
  if (missing <= 0) return bounded;
  return lengthen(bounded, missing);
}

/** Characters of its shortest text. */
function shortest(text: Expression): number {
  switch (text.type) {
    case "literal":
      return characterCount(text.bytes);
    case "class":
      return 1;
    case "sequence":
      return text.items.reduce((sum, item) => sum + shortest(item), 0);
    case "choice":
      return text.items.reduce((least, item) => Math.min(least, shortest(item)), ENDLESS);
    case "repeat":
      return text.min === 0 ? 0 : text.min * shortest(text.item);
    case "both":
      return Math.max(shortest(text.item), shortest(text.filter));
    case "except":
      return shortest(text.item);
    case "list":
    case "rule":
      return 0;
  }
}

function longest(text: Expression): number {
  switch (text.type) {
    case "literal":
      return characterCount(text.bytes);
    case "class":
      return 1;
    case "sequence":
      return text.items.reduce((sum, item) => sum + longest(item), 0);
    case "choice":
      return text.items.reduce((most, item) => Math.max(most, longest(item)), 0);
    case "repeat": {
      const item = longest(text.item);
      return item === 0 || text.max === 0 ? 0 : item * text.max;
    }
    case "both":
      return Math.min(longest(text.item), longest(text.filter));
    case "except":
      return longest(text.item);
    case "list":
    case "rule":
      return ENDLESS;
  }
}

function characterCount(bytes: Uint8Array): number {
  return [...decoder.decode(bytes)].length;
}

/** What a text may have more than its shortest form, at most, by places that share a bound. */
function countLoops(text: Expression): number {
  switch (text.type) {
    case "sequence":
      return text.items.reduce((sum, item) => sum + countLoops(item), 0);
    case "choice": {
      const least = shortest(text);
      // An alternative that is always longer takes room as a loop does.
      return text.items.reduce((most, item) => {
        const own = countLoops(item) + (shortest(item) > least ? 1 : 0);
        return Math.max(most, own);
      }, 0);
    }
    case "repeat":
      if (text.min === text.max) return text.min === 0 ? 0 : text.min * countLoops(text.item);
      return 1 + text.min * countLoops(text.item);
    default:
      return 0;
  }
}

/** Each loop takes at most `room` characters more than it must. */
function shorten(text: Expression, room: number): Expression {
  switch (text.type) {
    case "sequence":
      return { type: "sequence", items: text.items.map((item) => shorten(item, room)) };
    case "choice": {
      const least = shortest(text);
      const items = text.items
        .filter((item) => shortest(item) - least <= room)
        .map((item) => shorten(item, room));
      return items.length === 0 ? NEVER : { type: "choice", items };
    }
    case "repeat": {
      if (text.min === text.max) return { ...text, item: shorten(text.item, room) };
      // Items beyond the least number share the room, each of its own shortest length.
      const { item } = text;
      const size = longest(item) === ENDLESS ? shortest(item) : longest(item);
      const fixed =
        longest(item) === ENDLESS ? shorten(item, 0) : shorten(item, text.min > 0 ? room : 0);
      if (size === 0) return { ...text, item: fixed, max: text.min };
      const extra = Math.floor(room / size);
      return { ...text, item: fixed, max: Math.min(text.max, text.min + extra) };
    }
    default:
      return text;
  }
}

/** One loop takes what is missing; undefined where none has room. */
function lengthen(text: Expression, missing: number): Expression | undefined {
  switch (text.type) {
    case "repeat": {
      const size = shortest(text.item);
      const more = Math.ceil(missing / Math.max(1, size));
      if (size > 0 && text.min + more <= text.max) return { ...text, min: text.min + more };
      if (text.min !== 1 || text.max !== 1) return undefined;
      const item = lengthen(text.item, missing);
      return item && { ...text, item };
    }
    case "sequence": {
      for (const [i, item] of text.items.entries()) {
        const longer = lengthen(item, missing);
        if (longer !== undefined) return { type: "sequence", items: text.items.with(i, longer) };
      }
      return undefined;
    }
    case "choice": {
      const items = text.items.flatMap((item) => {
        const need = missing - (shortest(item) - shortest(text));
        const longer = need <= 0 ? item : lengthen(item, need);
        return longer === undefined ? [] : [longer];
      });
      return items.length === 0 ? undefined : { type: "choice", items };
    }
    default:
      return undefined;
  }
}
