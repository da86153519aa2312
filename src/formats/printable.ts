/** A name of a hostile file may be 64 KB of control characters: error messages get this instead. */

/** Longer than any name in use. */
const MAX_SHOWN = 96;

/** The name with control and invisible characters escaped, cut after 96 characters. */
export function printable(name: string): string {
  // Only what may be shown is escaped: a name may have 64 KB.
  const shown = name.slice(0, MAX_SHOWN).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
  const whole = name.length <= MAX_SHOWN && shown.length <= MAX_SHOWN;
  return whole ? shown : `${shown.slice(0, MAX_SHOWN)}…`;
}
