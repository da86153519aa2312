/** Any text in which some texts do not occur, or that does not begin with them: what may stand before a trigger. */
import { PronkError } from "../errors.ts";
import {
  characters,
  choice,
  type Expression,
  invertRanges,
  literal,
  NEVER,
  NOTHING,
  repeat,
  rule,
  sequence,
} from "./expression.ts";

/**
 * The start of a text that is left out may stand at its end.
 *
 * @param texts not empty; where they may not occur anywhere, none has the first character of one but at its start
 * @param define adds a rule and gives its name back
 */
export function textWithout(
  texts: readonly string[],
  at: "start" | "anywhere",
  define: (expression: Expression) => string,
): Expression {
  if (at === "start") {
    const text = repeat(characters(...invertRanges([])), 0, Number.POSITIVE_INFINITY);
    // Long and with many that end alike: each ending is a rule of its own.
    const rules = new Map<string, Expression>();
    const named = (endings: readonly string[], write: () => Expression): Expression => {
      const key = JSON.stringify(endings);
      let known = rules.get(key);
      if (known === undefined) {
        known = rule(define(write()));
        rules.set(key, known);
      }
      return known;
    };
    return deviating(texts, new Set(), text, named);
  }
  const firsts = new Set(texts.map((text) => [...text][0]!));
  if (texts.some((text) => [...text].slice(1).some((character) => firsts.has(character)))) {
    throw new PronkError("bad_request", `textWithout: ${texts.join(" and ")} overlap themselves`);
  }
  const rest = repeat(noneOf(firsts), 0, Number.POSITIVE_INFINITY);
  const begun = [...firsts].map((first) =>
    sequence(
      literal(first),
      deviating(endingsOf(texts, first), firsts, rest, (_, write) => write()),
    ),
  );
  return sequence(rest, repeat(choice(...begun), 0, Number.POSITIVE_INFINITY));
}

/** A text that ends before one of the endings is whole, or leaves them all and goes on as `rest`. */
function deviating(
  endings: readonly string[],
  excluded: ReadonlySet<string>,
  rest: Expression,
  named: (endings: readonly string[], write: () => Expression) => Expression,
): Expression {
  if (endings.includes("")) return NEVER;
  return named(endings, () => {
    const next = new Set(endings.map((ending) => [...ending][0]!));
    return choice(
      NOTHING,
      sequence(noneOf(new Set([...next, ...excluded])), rest),
      ...[...next].map((character) =>
        sequence(
          literal(character),
          deviating(endingsOf(endings, character), excluded, rest, named),
        ),
      ),
    );
  });
}

function endingsOf(texts: readonly string[], first: string): string[] {
  return texts.flatMap((text) => (text.startsWith(first) ? [text.slice(first.length)] : []));
}

function noneOf(excluded: ReadonlySet<string>): Expression {
  return characters(
    ...invertRanges(
      [...excluded].map((character) => [character.codePointAt(0)!, character.codePointAt(0)!]),
    ),
  );
}
