/** Text in lines of a terminal's width. */

/** Lists as `a|b|c` may break behind a stroke; other words may be longer than the width: paths are not broken. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const pieces = word.length > width ? word.split(/(?<=\|)/) : [word];
    for (const [i, piece] of pieces.entries()) {
      const gap = i > 0 || line === "" ? "" : " ";
      if (line !== "" && line.length + gap.length + piece.length > width) {
        lines.push(line);
        line = piece;
      } else line += gap + piece;
    }
  }
  return [...lines, line];
}

/**
 * Two columns: what something is called, and what it is, the latter wrapped under itself. Names longer
 * than the first column stand on a line of their own.
 *
 * @param paint of the name, put on after everything is measured.
 */
export function twoColumns(
  rows: readonly (readonly [name: string, text: string])[],
  {
    columns,
    nameWidth,
    paint,
  }: { columns: number; nameWidth: number; paint: (text: string) => string },
): string {
  const indent = 2;
  const gap = 2;
  const widest = Math.min(nameWidth, Math.floor(columns / 2) - indent - gap);
  const left = indent + widest + gap;
  return rows
    .map(([name, text]) => {
      const [first, ...rest] = wrapText(text, columns - left);
      const isLong = name.length > widest;
      const head =
        " ".repeat(indent) + paint(name) + (isLong ? "" : " ".repeat(widest - name.length + gap));
      const body = isLong ? [head, " ".repeat(left) + first] : [head + first];
      return [...body, ...rest.map((line) => " ".repeat(left) + line)]
        .map((line) => `${line.trimEnd()}\n`)
        .join("");
    })
    .join("");
}
