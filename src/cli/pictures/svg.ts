/**
 * What all pictures share: the frame with its title and description, the styles, and text. SVG by hand: the
 * pictures are axes, bars, points and lines, for which a library would bring a hundred times their code.
 */

export interface PictureText {
  readonly title: string;
  /** Below the title: what machine, when, how. */
  readonly subtitle: string;
  /** What the picture says, in words, for who does not see it. */
  readonly description: string;
}

export const TOP = 64;

/** Colours of series, in order; marks differ in shape, too, so that no one needs the colours. */
export const SERIES_COLORS = 4;

const STYLE = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .small { font-size: 12px; font-variant-numeric: tabular-nums; }
  .strong { font-weight: 600; }
  .axis, .limit { stroke: #1f2328; fill: none; }
  .axis { opacity: 0.35; }
  .grid { stroke: #1f2328; opacity: 0.1; }
  .limit { stroke-dasharray: 5 4; opacity: 0.7; }
  .range { stroke: #1f2328; opacity: 0.55; }
  .line { fill: none; stroke-width: 2; }
  .s0 { fill: #d3681d; stroke: #d3681d; }
  .s1 { fill: #3b73b9; stroke: #3b73b9; }
  .s2 { fill: #2f855a; stroke: #2f855a; }
  .s3 { fill: #8250b4; stroke: #8250b4; }
  .pale { opacity: 0.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .axis, .grid, .limit, .range { stroke: #e6edf3; }
    .s0 { fill: #f0924f; stroke: #f0924f; }
    .s1 { fill: #6ea8ec; stroke: #6ea8ec; }
    .s2 { fill: #5cc48d; stroke: #5cc48d; }
    .s3 { fill: #b794f4; stroke: #b794f4; }
  }
  .line { fill: none; }
  rect { stroke: none; }`;

/** A whole picture. */
export function svg(
  width: number,
  height: number,
  { title, subtitle, description }: PictureText,
  body: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">${escapeXml(title)}</title>`,
    `<desc id="desc">${escapeXml(description)}</desc>`,
    `<style>${STYLE}\n</style>`,
    text(8, 22, title, "title"),
    text(8, 42, subtitle),
    ...body,
    "</svg>\n",
  ].join("\n");
}

export type Anchor = "start" | "middle" | "end";

export function text(
  x: number,
  y: number,
  content: string,
  name = "",
  anchor: Anchor = "start",
): string {
  const style = name && ` class="${name}"`;
  return `<text${style} x="${place(x)}" y="${place(y)}" text-anchor="${anchor}">${escapeXml(content)}</text>`;
}

export function line(name: string, x1: number, y1: number, x2: number, y2: number): string {
  const [a, b, c, d] = [x1, y1, x2, y2].map(place);
  return `<line class="${name}" x1="${a}" y1="${b}" x2="${c}" y2="${d}"/>`;
}

/** A tenth of a pixel. */
export function place(n: number): string {
  return n.toFixed(1);
}

function escapeXml(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
