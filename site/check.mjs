// What was built is whole: every link and anchor of every page leads somewhere, nothing is asked of another host, and
// nothing in a page needs more than its Content-Security-Policy allows.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

const ATTRIBUTE = /<(\w+)\b[^>]*?\s(href|src)="([^"]*)"/g;

const decoded = (text) =>
  text.replaceAll("&amp;", "&").replaceAll("&quot;", '"').replaceAll("&#39;", "'");

/** @returns complaints, one a line; none when the site is whole. */
export function checkSite(folder, base = "/") {
  const names = readdirSync(folder, { recursive: true }).map((name) => name.split("\\").join("/"));
  const pages = new Map(
    names
      .filter((name) => name.endsWith(".html"))
      .map((name) => {
        const html = readFileSync(join(folder, name), "utf8");
        const ids = new Set([...html.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => decoded(id)));
        return [name, { html, ids }];
      }),
  );
  const complaints = [];
  for (const [name, { html }] of pages) {
    const complain = (what) => complaints.push(`${name}: ${what}`);
    for (const [, element, attribute, raw] of html.matchAll(ATTRIBUTE)) {
      const target = decoded(raw);
      if (/^(?:[a-z]+:|\/\/)/.test(target)) {
        // A reader may follow a link to elsewhere; a page may not load anything from there.
        if (element !== "a" || attribute !== "href")
          complain(`${element} ${attribute}=${target}: another host`);
        continue;
      }
      const [path, anchor = ""] = target.split("#");
      const absolute = path.startsWith(base)
        ? path.slice(base.length)
        : posix.join(posix.dirname(name), path);
      const page = path === "" ? name : absolute.replace(/(^|\/)$/, "$1index.html");
      if (!existsSync(join(folder, page))) complain(`${target}: there is no such page`);
      else if (anchor && pages.has(page) && !pages.get(page).ids.has(decodeURIComponent(anchor))) {
        complain(`${target}: the page has no such heading`);
      }
    }
    if (/<script(?![^>]*\ssrc=)[^>]*>[^<]/.test(html)) complain("a script in the page itself");
    if (/<style\b/.test(html)) complain("a style in the page itself");
    const [style] = /<[^>]+\sstyle="[^"]*"/.exec(html) ?? [];
    if (style) complain(`a style attribute: ${style}`);
  }
  for (const name of names.filter((one) => one.endsWith(".css"))) {
    const css = readFileSync(join(folder, name), "utf8");
    const [url] = /url\(["']?(?:https?:)?\/\/[^)]*|@import[^;]*/.exec(css) ?? [];
    if (url) complaints.push(`${name}: ${url}: another host`);
  }
  if (pages.size < 10) complaints.push(`${pages.size} pages: too few to be the site`);
  return complaints;
}
