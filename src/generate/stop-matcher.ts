/**
 * Finds stop texts in text that arrives in pieces, and holds back what may be the start of one. The
 * outcome depends on the text alone, never on where the pieces end.
 *
 * The match that ends first wins; of those that end together, the longest. One Knuth-Morris-Pratt
 * automaton a stop text: linear in the text, whatever the stop texts are.
 */

export interface StopMatcher {
  /**
   * Text that is certain to precede any stop text; "" while all of it may be the start of one. After
   * a match: what came before it, and nothing any more.
   */
  push(text: string): string;
  /** The stop text that was found. */
  readonly found: string | undefined;
  /** What is held back, at the end of the text; "" after a match. */
  flush(): string;
}

interface Automaton {
  readonly stop: string;
  /** failure[n]: the longest proper prefix of stop[0, n) that also ends it. */
  readonly failure: Int32Array;
  /** Units of `stop` that the text ends with. */
  matched: number;
}

/** @param stops not empty texts. */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  const automata = stops.map(createAutomaton);
  let held = "";
  let found: string | undefined;

  return {
    get found() {
      return found;
    },
    push(text) {
      if (found !== undefined) return "";
      if (automata.length === 0) return text;
      const all = held + text;
      for (let end = held.length + 1; end <= all.length; end++) {
        for (const automaton of automata) {
          const { stop } = automaton;
          if (!advance(automaton, all.charCodeAt(end - 1))) continue;
          if (found === undefined || stop.length > found.length) found = stop;
        }
        if (found !== undefined) {
          held = "";
          return all.slice(0, end - found.length);
        }
      }
      const keep = Math.max(...automata.map(({ matched }) => matched));
      held = all.slice(all.length - keep);
      return all.slice(0, all.length - keep);
    },
    flush() {
      const rest = held;
      held = "";
      for (const automaton of automata) automaton.matched = 0;
      return rest;
    },
  };
}

/** Takes one UTF-16 unit; true when the text now ends with the stop text. */
function advance(automaton: Automaton, unit: number): boolean {
  const { stop, failure } = automaton;
  let { matched } = automaton;
  while (matched > 0 && stop.charCodeAt(matched) !== unit) matched = failure[matched];
  if (stop.charCodeAt(matched) === unit) matched++;
  automaton.matched = matched;
  return matched === stop.length;
}

function createAutomaton(stop: string): Automaton {
  const failure = new Int32Array(stop.length + 1);
  let prefix = 0;
  for (let end = 1; end < stop.length; end++) {
    while (prefix > 0 && stop.charCodeAt(end) !== stop.charCodeAt(prefix)) prefix = failure[prefix];
    if (stop.charCodeAt(end) === stop.charCodeAt(prefix)) prefix++;
    failure[end + 1] = prefix;
  }
  return { stop, failure, matched: 0 };
}
