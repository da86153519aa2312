/** A name of a hostile file may be 64 KB of control characters: error messages get this instead. */

/** Longer than any name in use. */
const MAX_SHOWN = 96;

/** The name with control characters escaped, cut after 96 characters. */
export function printable(name: string): string {
  const cut = name.length > MAX_SHOWN ? `${name.slice(0, MAX_SHOWN)}…` : name;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
}
