/** Texts as Python would show them. Source: CPython, Objects/unicodeobject.c: unicode_repr, str.center. */

/** Categories that Python's repr escapes: controls, formats, surrogates, private, unassigned, separators. */
const UNPRINTABLE = /^(?!\x20)[\p{C}\p{Z}]$/u;

const NAMED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** `repr(text)`: in single quotes, or in double quotes where the text has single ones only. */
export function pythonRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let shown = "";
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    if (character === quote || character === "\\") shown += `\\${character}`;
    else if (NAMED[character] !== undefined) shown += NAMED[character];
    else if (!UNPRINTABLE.test(character)) shown += character;
    else if (code < 0x100) shown += `\\x${hex(code, 2)}`;
    else shown += code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
  }
  return quote + shown + quote;
}

/** `text.center(width)`: the odd space is on the left where the width is odd. */
export function pythonCenter(text: string, width: number): string {
  const room = width - pythonLength(text);
  if (room <= 0) return text;
  const left = (room >> 1) + (room & width & 1);
  return " ".repeat(left) + text + " ".repeat(room - left);
}

/** `len(text)`: code points. */
export function pythonLength(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** `text.ljust(width)` */
export function pythonLjust(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - pythonLength(text)));
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}
