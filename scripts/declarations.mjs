// Part of the build: makes declarations that compile with any set of types, or none.
//
//   node scripts/declarations.mjs    after tsc has written dist
//
// tsc leaves the sources' .ts in them, for which it finds the .d.ts by itself; Deno does not.
// They name AbortSignal, URL and WebAssembly.Module, which not every program knows: without DOM
// there are none, and @types/node has no WebAssembly. Every public entry therefore brings
// interfaces without members, which become one with the real ones where there are such.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const WEB_TYPES = join(dist, "src", "web-types");

const declarations = `declare global {
    interface AbortController {
    }
    interface AbortSignal {
    }
    interface Headers {
    }
    interface Request {
    }
    interface Response {
    }
    interface URL {
    }
    namespace WebAssembly {
        interface Memory {
        }
        interface Module {
        }
    }
}
/** The program's fetch. */
export type Fetch = typeof globalThis extends {
    fetch: infer Known;
} ? Known : (url: string, init?: object) => Promise<Response>;
`;
// The empty module is for Deno, which looks for what the declarations name.
writeFileSync(`${WEB_TYPES}.js`, "export {};\n");
writeFileSync(`${WEB_TYPES}.d.ts`, declarations);

const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const entries = new Set(
  JSON.stringify(exports)
    .match(/(?<="\.\/)dist\/[^"]+(?=\.js")/g)
    .map((path) => join(root, `${path}.d.ts`)),
);

for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".d.ts")) continue;
  const path = join(dist, name);
  const text = readFileSync(path, "utf8");
  const webTypes = specifier(path, `${WEB_TYPES}.js`);
  const importing = `import type {} from "${webTypes}";\n`;
  const renamed = text
    .replaceAll(
      /\b(from\s+|import\s+|import\(\s*)"(\.[^"]+)\.ts"/g,
      (_, before, target) => `${before}"${target}.js"`,
    )
    .replaceAll(/\btypeof (?:globalThis\.)?fetch\b/g, `import("${webTypes}").Fetch`);
  const isBare = entries.has(path) && !renamed.includes(importing);
  const complete = isBare ? renamed + importing : renamed;
  if (complete !== text) writeFileSync(path, complete);
}

/** How one module names another. */
function specifier(from, to) {
  const path = relative(dirname(from), to).split(sep).join("/");
  return path.startsWith(".") ? path : `./${path}`;
}
