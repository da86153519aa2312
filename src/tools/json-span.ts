/** Where a JSON object that arrives in pieces ends, by its brackets and quotes alone. */

export interface JsonSpan {
  /** How much of `text` from `from` on belongs to it; `ended` when that is the last of it. */
  take(text: string, from: number): number;
  readonly ended: boolean;
}

export function createJsonSpan(): JsonSpan {
  let depth = 0;
  let inString = false;
  let escaped = false;
  let ended = false;
  return {
    get ended() {
      return ended;
    },
    take(text, from) {
      let at = from;
      while (at < text.length && !ended) {
        const character = text[at++];
        if (inString) {
          if (escaped) escaped = false;
          else if (character === "\\") escaped = true;
          else if (character === '"') inString = false;
        } else if (character === '"') inString = true;
        else if (character === "{" || character === "[") depth++;
        else if (character === "}" || character === "]") ended = --depth === 0;
      }
      return at - from;
    },
  };
}
