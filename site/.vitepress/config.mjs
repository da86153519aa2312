// The documents as a site: no request to another host, no inline script or style, the same anchors as on GitHub.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { transformerStyleToClass } from "@shikijs/transformers";
import { defineConfig } from "vitepress";
import { root } from "../pages.mjs";
import { sidebar } from "../sidebar.mjs";
import { slugify } from "../slug.mjs";

const base = process.env.DOCS_BASE || "/";

/** What may be loaded and run; a copy goes into _headers for hosts that read it. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:", // the generator's icons, in its style sheet
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** Shiki's colours as classes: an element's style attribute is inline, too. */
const colours = transformerStyleToClass({ classPrefix: "c-" });

/** Scripts that the generator writes into pages, as files. */
const scripts = new Map();

function withoutInlineScripts(html) {
  // The generator sets these again by script, which the policy allows.
  const bare = html.replace(
    /(<div class="(?:VPLocalNavOutlineDropdown|vp-doc container)")\s+style="[^"]*"/g,
    "$1",
  );
  return bare.replace(
    /<script((?: (?!src)[\w-]+(?:="[^"]*")?)*)>([^<]+)<\/script>/g,
    (_, attributes, code) => {
      const name = `assets/inline.${createHash("sha256").update(code).digest("hex").slice(0, 8)}.js`;
      scripts.set(name, code);
      return `<script${attributes} src="${base}${name}"></script>`;
    },
  );
}

/** Columns' alignment as classes. */
const alignmentByClass = (markdown) => {
  for (const cell of ["th_open", "td_open"]) {
    markdown.renderer.rules[cell] = (tokens, index, options, _environment, self) => {
      const [token] = tokens.slice(index, index + 1);
      const style = token.attrIndex("style");
      if (style >= 0) {
        const [, side] = /^text-align:(\w+)$/.exec(token.attrs[style][1]) ?? [];
        token.attrs.splice(style, 1);
        token.attrJoin("class", `align-${side}`);
      }
      return self.renderToken(tokens, index, options);
    };
  }
};

/** What the search knows of a page: all of a document, of an export's page its name and what it is. */
function searched(source, environment, markdown) {
  if (environment.relativePath.startsWith("files/")) return "";
  const isExport = /^reference\/api\/.*(?<!index)\.md$/.test(environment.relativePath);
  const text = isExport ? source.split(/^## /m)[0].replace(/^```[\s\S]*?^```$/gm, "") : source;
  return markdown.render(text, environment);
}

export default defineConfig({
  base,
  title: "pronk",
  description:
    "Small quantized Llama models in SIMD WebAssembly on Cloudflare Workers, Deno, Bun, Node and in browsers.",
  lang: "en",
  srcDir: join(root, "site", "build", "pages"),
  outDir: join(root, "dist-docs"),
  cacheDir: join(root, "site", "build", "vitepress"),
  metaChunk: true,
  contentProps: { class: "content" }, // else it has a style attribute
  appearance: { disableTransition: false }, // which adds a style element
  ignoreDeadLinks: [/^https?:\/\/(?:127\.0\.0\.1|localhost)/],
  head: [
    ["meta", { "http-equiv": "Content-Security-Policy", content: POLICY }],
    ["link", { rel: "icon", href: `${base}icon.svg`, type: "image/svg+xml" }],
    ["link", { rel: "stylesheet", href: `${base}assets/colours.css` }],
  ],
  markdown: {
    anchor: { slugify },
    toc: { slugify },
    attrs: { disable: true }, // on GitHub `{id}` in a heading is text, too
    config: alignmentByClass,
    codeTransformers: [colours],
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
  },
  themeConfig: {
    nav: [
      { text: "Start", link: "/introduction" },
      { text: "HTTP API", link: "/server" },
      { text: "TypeScript API", link: "/api" },
      { text: "Benchmarks", link: "/benchmarks" },
    ],
    sidebar,
    outline: [2, 3],
    search: { provider: "local", options: { _render: searched } },
    docFooter: { prev: "Before", next: "Next" },
    notFound: { linkLabel: "Take me home" },
    footer: { message: "Apache-2.0" },
  },
  vite: { build: { assetsInlineLimit: 0 }, publicDir: join(root, "site", "public") },
  transformHtml: withoutInlineScripts,
  buildEnd({ outDir }) {
    const write = (name, text) => {
      mkdirSync(dirname(join(outDir, name)), { recursive: true });
      writeFileSync(join(outDir, name), text);
    };
    for (const [name, code] of scripts) write(name, code);
    write("assets/colours.css", colours.getCSS());
    write(
      "_headers",
      `/*\n  Content-Security-Policy: ${POLICY}\n  X-Content-Type-Options: nosniff\n  Referrer-Policy: no-referrer\n`,
    );
  },
});
