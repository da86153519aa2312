/** An attention mask as a drawing that stands alone: no scripts, no fonts, no outside links. */
import type { AttentionGrid } from "./attention-mask-visualizer.ts";
import { pythonLength, pythonRepr } from "./python-text.ts";

/** Pixels of a square, and from one to the next. */
const SQUARE = 12;
const STEP = 16;
const MARGIN = 16;
const TITLE = 40;

/** Of a character at font size 11, monospaced; those of East Asia are wider, so room for them. */
const CHARACTER = 7.5;

const COLORS = { diagonal: "#2da44e", attended: "#24292f", masked: "none" } as const;

/** Text of a user's, inside an element or an attribute. */
function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export function attentionMaskSvg(name: string, { tokens, mask }: AttentionGrid): string {
  const labels = tokens.map((token, index) => `${index} ${pythonRepr(token)}`);
  const labelWidth = Math.ceil(Math.max(...labels.map(pythonLength)) * CHARACTER);
  const left = MARGIN + labelWidth + 8;
  const title = `Attention mask of ${name}`;
  const width = Math.max(
    left + tokens.length * STEP + MARGIN,
    MARGIN * 2 + pythonLength(title) * CHARACTER * 1.2,
  );
  const height = TITLE + tokens.length * STEP + MARGIN;
  const rows = labels.flatMap((label, i) => {
    const y = TITLE + i * STEP;
    const text = `<text x="${left - 8}" y="${y + 10}" text-anchor="end">${escapeXml(label)}</text>`;
    const squares = tokens.map((_, j) => {
      const fill = i === j ? COLORS.diagonal : mask[i][j] ? COLORS.attended : COLORS.masked;
      const edge = fill === COLORS.masked ? ' stroke="#d0d7de" stroke-dasharray="2 2"' : "";
      return `<rect x="${left + j * STEP}" y="${y}" width="${SQUARE}" height="${SQUARE}" fill="${fill}"${edge}/>`;
    });
    return [text, ...squares];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${height}" viewBox="0 0 ${Math.ceil(width)} ${height}" font-family="monospace" font-size="11" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="${MARGIN}" y="24" font-size="13" font-weight="bold">${escapeXml(title)}</text>`,
    ...rows,
    "</svg>",
    "",
  ].join("\n");
}
