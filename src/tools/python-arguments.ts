/** Python's keyword arguments, as they arrive, as a JSON object: `city="Paris", days=[1, 2])` is `{"city": "Paris", …}`. */

export interface PythonArguments {
  /** Reads on from `from`, up to and with the closing parenthesis; gives the JSON that is certain. */
  take(text: string, from: number): { readonly json: string; readonly read: number };
  readonly ended: boolean;
}

const WORDS: Readonly<Record<string, string>> = { True: "true", False: "false", None: "null" };
const ESCAPES: Readonly<Record<string, string>> = {
  "'": "'",
  "\n": "",
  a: "\\u0007",
  v: "\\u000b",
  "0": "\\u0000",
  ...Object.fromEntries([...'"\\/bfnrtu'].map((character) => [character, `\\${character}`])),
};

export function createPythonArguments(): PythonArguments {
  let state: "name" | "value" | "string" | "escape" | "hex" | "done" = "name";
  let quote = "";
  /** A name or word that is not whole yet. */
  let word = "";
  let depth = 0;
  let count = 0;
  /** The arguments are one dictionary, `**{…}`. */
  let isSpread = false;

  const wordJson = (): string => {
    const json = WORDS[word] ?? word;
    word = "";
    return json;
  };
  const inValue = (character: string): string => {
    if (/[A-Za-z_]/.test(character) || (word !== "" && /\w/.test(character))) {
      word += character;
      return "";
    }
    const before = wordJson();
    if (character === '"' || character === "'") {
      quote = character;
      state = "string";
      return `${before}"`;
    }
    if (depth === 0 && character === ",") {
      state = "name";
      return before;
    }
    if (depth === 0 && character === ")") {
      state = "done";
      return isSpread ? before : `${before}}`;
    }
    if ("[({".includes(character)) depth++;
    else if ("])}".includes(character)) depth--;
    if (character === "(") return `${before}[`;
    if (character === ")") return `${before}]`;
    // White space around a value would stand before the comma.
    return depth === 0 && /\s/.test(character) ? before : before + character;
  };
  const inName = (character: string): string => {
    if (character === ")") {
      state = "done";
      return isSpread ? "" : count === 0 ? "{}" : "}";
    }
    if (character === "=") {
      state = "value";
      const name = JSON.stringify(word.trim());
      word = "";
      return `${count++ === 0 ? "{" : ", "}${name}: `;
    }
    word += character;
    if (count === 0 && word.trim() === "**") {
      isSpread = true;
      word = "";
      state = "value";
    }
    return "";
  };
  const inString = (character: string): string => {
    if (character === quote) {
      state = "value";
      return '"';
    }
    if (character === "\\") {
      state = "escape";
      return "";
    }
    return character === '"' || character < " "
      ? JSON.stringify(character).slice(1, -1)
      : character;
  };
  const next = (character: string): string => {
    switch (state) {
      case "name":
        return inName(character);
      case "value":
        return inValue(character);
      case "string":
        return inString(character);
      case "escape":
        state = character === "x" ? "hex" : "string";
        if (character === "x") return "\\u00";
        return ESCAPES[character] ?? `\\\\${inString(character)}`;
      case "hex":
        state = "string";
        return inString(character);
      case "done":
        return "";
    }
  };
  return {
    get ended() {
      return state === "done";
    },
    take(text, from) {
      let json = "";
      let at = from;
      while (at < text.length && state !== "done") json += next(text[at++]!);
      return { json, read: at - from };
    },
  };
}
