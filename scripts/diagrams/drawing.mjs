// Boxes, arrows and words as SVG: its own background, so that it is readable on any page, light or dark by the reader's
// setting, and a text that says what the picture shows.

const STYLE = `
text { font: 14px system-ui, sans-serif; fill: var(--ink); }
.small { font-size: 12px; fill: var(--soft); }
.head { font-weight: 600; }
.middle { text-anchor: middle; }
.box { fill: var(--box); stroke: var(--line); }
.strong { fill: var(--strong); stroke: var(--edge); }
.warm { fill: var(--warm); stroke: var(--amber); }
.none { fill: none; stroke: var(--line); stroke-dasharray: 4 4; }
.arrow { fill: none; stroke: var(--soft); stroke-width: 1.5; marker-end: url(#tip); }
#tip path { fill: var(--soft); }
.page { fill: var(--page); }
svg { --page: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #afb8c1; --box: #f3f5f7; --strong: #dbeafe; --edge: #2f6fcb; --warm: #fdecc8; --amber: #a86b00; }
@media (prefers-color-scheme: dark) {
  svg { --page: #15181d; --ink: #e8ecf0; --soft: #a8b3be; --line: #4b5560; --box: #20252c; --strong: #17335c; --edge: #6ea8fe; --warm: #44320f; --amber: #e0a63a; }
}`;

const escaped = (text) =>
  String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** @param parts strings of SVG; @param title, description for who does not see it. */
export function drawing({ width, height, title, description }, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description">
<title id="title">${escaped(title)}</title>
<desc id="description">${escaped(description)}</desc>
<style>${STYLE}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0 8 4 0 8z"/></marker></defs>
<rect class="page" width="${width}" height="${height}" rx="8"/>
${parts.flat(Number.POSITIVE_INFINITY).join("\n")}
</svg>
`;
}

export const text = (x, y, words, kind = "") =>
  `<text x="${x}" y="${y}"${kind ? ` class="${kind}"` : ""}>${escaped(words)}</text>`;

/** A box with a heading and lines below it. */
export function box({ x, y, width, height, kind = "box", head, lines = [] }) {
  const top = y + (lines.length === 0 ? height / 2 + 5 : 22);
  return [
    `<rect class="${kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>`,
    head ? text(x + 12, top, head, "head") : "",
    lines.map((line, i) => text(x + 12, top + 19 * (i + 1), line, "small")),
  ];
}

/** Through these points. */
export const arrow = (...points) =>
  `<path class="arrow" d="M${points.map(([x, y]) => `${x} ${y}`).join(" L")}"/>`;
