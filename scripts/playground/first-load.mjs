// What a browser fetches of the static page until a chat with a pack of SmolLM2 can begin, but for the model. Later come
// what an answer's Markdown, a view, a grammar, tools, another chat template, a GGUF or a GPU need.
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

/** Of minified modules: `from"./x.js"`, `import"./x.js"`; not `import("./x.js")`, which comes later. */
const STATIC_IMPORT = /(?:from|import)\s*["`]\.\/([^"`]+\.js)["`]/g;

/** The kernels of browsers with relaxed SIMD, which are the larger ones. */
const KERNELS = /^relaxed-.*\.wasm$/;

/**
 * @param folder of the built page
 * @returns bytes, gzipped file by file, in all and by part, with the names of the files
 */
export function firstLoad(folder) {
  const assets = join(folder, "playground");
  const names = readdirSync(assets);
  const page = readFileSync(join(folder, "index.html"), "utf8");
  const named = [...page.matchAll(/(?:src|href)="playground\/([^"]+\.(?:js|css))"/g)];
  const script = named.map(([, name]) => name);
  const worker = names.find((name) => /^tab-worker-.*\.js$/.test(name));
  const files = {
    page: [join(folder, "index.html"), ...within(assets, script)],
    engine: within(assets, [worker]),
    kernels: names.filter((name) => KERNELS.test(name)).map((name) => join(assets, name)),
  };
  const parts = Object.fromEntries(
    Object.entries(files).map(([part, paths]) => [part, sum(paths.map(gzipped))]),
  );
  return { bytes: sum(Object.values(parts)), parts, files };
}

/** These and all that they import before they run. */
function within(assets, names) {
  const found = new Set(names);
  for (const name of found) {
    if (!name.endsWith(".js")) continue;
    const text = readFileSync(join(assets, name), "utf8");
    for (const [, imported] of text.matchAll(STATIC_IMPORT)) found.add(basename(imported));
  }
  return [...found].map((name) => join(assets, name));
}

function gzipped(path) {
  return gzipSync(readFileSync(path), { level: 9 }).length;
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
