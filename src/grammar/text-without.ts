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
  return at === "start" ? notBegunBy(texts, define) : without(texts);
}

const anyNumberOf = (item: Expression): Expression => repeat(item, 0, Number.POSITIVE_INFINITY);

function notBegunBy(
  texts: readonly string[],
  define: (expression: Expression) => string,
): Expression {
  // In place: a text leaves the endings once, most of them with their first token.
  const text = anyNumberOf(noneOf([]));
  // Long and with many that end alike: each ending is a rule of its own.
  const rules = new Map<string, Expression>();
  const after = (endings: readonly string[]): Expression => {
    if (endings.includes("")) return NEVER;
    const key = JSON.stringify(endings);
    let known = rules.get(key);
    if (known === undefined) {
      const next = firstsOf(endings);
      const expression = choice(
        NOTHING,
        sequence(noneOf(next), text),
        ...next.map((first) => sequence(literal(first), after(endingsOf(endings, first)))),
      );
      known = rule(define(expression));
      rules.set(key, known);
    }
    return known;
  };
  return after(texts);
}

/** Characters that begin no text, and starts of texts that do not go on: all lead back to the same loop. */
function without(texts: readonly string[]): Expression {
  const firsts = firstsOf(texts);
  if (texts.some((text) => [...text].slice(1).some((character) => firsts.includes(character)))) {
    throw new PronkError("bad_request", `textWithout: ${texts.join(" and ")} overlap themselves`);
  }
  const starts = anyNumberOf(startsOf(texts, () => NOTHING));
  const left = startsOf(texts, (next) => noneOf([...next, ...firsts]));
  return sequence(anyNumberOf(choice(noneOf(firsts), sequence(starts, left))), starts);
}

/** Starts of the texts that are not all of one; what follows each depends on the characters that would go on. */
function startsOf(
  texts: readonly string[],
  follow: (next: readonly string[]) => Expression,
): Expression {
  const alternatives = firstsOf(texts).flatMap((first) => {
    const endings = endingsOf(texts, first);
    if (endings.includes("")) return [];
    const more = choice(follow(firstsOf(endings)), startsOf(endings, follow));
    return [sequence(literal(first), more)];
  });
  return choice(...alternatives);
}

function firstsOf(texts: readonly string[]): string[] {
  return [...new Set(texts.map((text) => [...text][0]!))];
}

function endingsOf(texts: readonly string[], first: string): string[] {
  return texts.flatMap((text) => (text.startsWith(first) ? [text.slice(first.length)] : []));
}

function noneOf(excluded: readonly string[]): Expression {
  return characters(
    ...invertRanges(
      excluded.map((character) => [character.codePointAt(0)!, character.codePointAt(0)!]),
    ),
  );
}
