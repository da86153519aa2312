// Part of the build: the playground's pages, each a folder that any server can give away as it is.
//
//   node scripts/build-playground.mjs    after tsc has written dist
//
// dist/playground/server is what createApp serves at /. Names of files that are kept for good carry
// the hash of what is in them.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { headersFile } from "./playground/headers-file.mjs";
import { licensesOf } from "./playground/licenses.mjs";
import { buildStaticPage } from "./playground/static-page.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const template = readFileSync(join(root, "workers/browser/page.html"), "utf8");

/** The folder of everything but the page itself. */
const ASSETS = "playground";

/** Of the names of files that are not esbuild's, which has as many. */
const HASH_DIGITS = 8;

rmSync(join(root, "dist/playground"), { recursive: true, force: true });
const common = {
  absWorkingDir: root,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "browser",
  target: ["es2022", "chrome111", "firefox114", "safari16.4"],
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  legalComments: "linked",
  metafile: true,
  logLevel: "warning",
};
await buildPage("server", "workers/browser/server-page.tsx");
writeFileSync(join(root, "dist/playground/server/_headers"), headersFile([`/${ASSETS}/*`]));
await buildStaticPage({
  folder: join(root, "dist/playground/static"),
  assets: ASSETS,
  common,
  buildPage: (define, metafiles) =>
    buildPage("static", "workers/browser/static-page.tsx", define, metafiles),
});

/**
 * Writes index.html and the files that it names.
 *
 * @param name of the folder in dist/playground
 * @param entry the page's script; it imports its styles
 * @param define names that the script finds values under
 * @param metafiles of what was bundled for it beside the page
 */
async function buildPage(name, entry, define = {}, metafiles = []) {
  const folder = join(root, "dist/playground", name);
  const { metafile } = await build({
    ...common,
    entryPoints: [entry],
    outdir: join(folder, ASSETS),
    define,
  });
  const [script, { cssBundle }] = Object.entries(metafile.outputs).find(
    ([, { entryPoint }]) => entryPoint === entry,
  );
  const place = (path) => relative(folder, join(root, path)).split(sep).join("/");
  const kept = (file, text) => {
    const hash = createHash("sha256").update(text).digest("hex").slice(0, HASH_DIGITS);
    const [stem, type] = file.split(".");
    const named = `${ASSETS}/${stem}-${hash.toUpperCase()}.${type}`;
    writeFileSync(join(folder, named), text);
    return named;
  };
  const parts = {
    SCRIPT: place(script),
    STYLE: place(cssBundle),
    ICON: kept("icon.svg", readFileSync(join(root, "workers/browser/icon.svg"), "utf8")),
    LICENSES: kept("licenses.txt", licensesOf(root, [metafile, ...metafiles])),
  };
  const html = template.replace(/%([A-Z]+)%/g, (_, part) => parts[part]);
  mkdirSync(dirname(join(folder, "index.html")), { recursive: true });
  writeFileSync(join(folder, "index.html"), html);
}
