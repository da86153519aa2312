/** A name of a hostile file may be 64 KB of control characters: error messages get this instead. */

/** Longer than any name in use. */
const MAX_SHOWN = 96;

/** The name with control and invisible characters escaped, cut after so many characters. */
export function printable(name: string, most: number = MAX_SHOWN): string {
  // Only what may be shown is escaped: a name may have 64 KB.
  const shown = name.slice(0, most).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
  const whole = name.length <= most && shown.length <= most;
  return whole ? shown : `${shown.slice(0, most)}…`;
}

/** A value of a file for a message: texts in quotes and cut, of lists and objects only what they are. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") {
    // Only what may be shown is escaped.
    const text = printable(JSON.stringify(value.slice(0, MAX_SHOWN)));
    return value.length <= MAX_SHOWN || text.endsWith("…") ? text : `${text.slice(0, -1)}…`;
  }
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    return `a list of ${(value as ArrayLike<unknown>).length}`;
  }
  // Its own text may be anything, an error included.
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
