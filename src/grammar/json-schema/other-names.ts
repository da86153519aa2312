/** Names of members that differ from those that a schema declares. */
import {
  characters,
  choice,
  type Expression,
  invertRanges,
  literal,
  NOTHING,
  repeat,
  sequence,
} from "../expression.ts";

/** Characters that are written as they are: names with escapes could be declared ones in another spelling. */
const RESERVED = [
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
] as const;
const CHARACTER: Expression = characters(...invertRanges(RESERVED));
/** Names that a model makes up could be endless. */
const LONGEST = 60;

/** @param longest characters behind those that names have in common; Infinity is a smaller expression */
export function otherNames(declared: readonly string[], longest: number = LONGEST): Expression {
  const texts = declared.map((name) => [...name].map((c) => c.codePointAt(0)!));
  const any = repeat(CHARACTER, 0, longest);
  return sequence(literal('"'), except(texts, 0, any), literal('"'));
}

/** Texts other than these, which agree on their first `at` characters; called within itself for each character. */
function except(texts: readonly (readonly number[])[], at: number, any: Expression): Expression {
  const next = new Map<number, (readonly number[])[]>();
  let endsHere = false;
  for (const text of texts) {
    const code = text[at];
    if (code === undefined) endsHere = true;
    else if (next.has(code)) next.get(code)!.push(text);
    else next.set(code, [text]);
  }
  if (next.size === 0 && !endsHere) return any;
  const used = [...next.keys()].map((code) => [code, code] as const);
  const others = sequence(characters(...invertRanges([...RESERVED, ...used])), any);
  const along = [...next].map(([code, rest]) =>
    sequence(characters([code, code]), except(rest, at + 1, any)),
  );
  return choice(...(endsHere ? [] : [NOTHING]), others, ...along);
}
