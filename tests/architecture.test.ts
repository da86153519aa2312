/** The layering of the sources, and rules that a reader would otherwise have to check by hand. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Lower layers first. A file may import from its own folder and from any listed before. */
const LAYERS = [
  "errors.ts",
  "sources",
  "formats",
  "pack",
  "tokenizers",
  "templates",
  "grammar",
  "tools",
  "model",
  "checkpoints",
  "adapters",
  "backends",
  "stages",
  "generate",
  "engine",
  "remote",
  "hub",
  "llama",
  "server",
  "ai-sdk",
  "platform",
  "cli",
  "playground",
];

/** Everything up to here runs on any engine: it imports no runtime, and only these packages. */
const CORE = LAYERS.slice(0, LAYERS.indexOf("llama") + 1);
const CORE_PACKAGES = ["@huggingface/jinja", "aws4fetch", "yaml"];

/** A file that is longer says too many things at once. */
const MAX_LINES = 500;

const IGNORED = new Set(["node_modules", "dist", ".git", ".cache", ".wrangler", "goldens"]);

function filesIn(folder: string, pattern: RegExp): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (IGNORED.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesIn(path, pattern);
    return pattern.test(entry.name) ? [path] : [];
  });
}

const sources = filesIn("src", /\.tsx?$/).map((path) => relative("src", path).split(sep).join("/"));

interface Import {
  readonly file: string;
  readonly target: string;
}

const imports: Import[] = sources.flatMap((file) => {
  const text = readFileSync(join(root, "src", file), "utf8");
  // Statements at the start of a line, and dynamic imports; not examples in comments.
  const pattern =
    /^(?:import|export)\b[^;]*?\bfrom\s*"(.+?)"|^import\s*"(.+?)"|\bimport\("(.+?)"\)/gm;
  return [...text.matchAll(pattern)].map(([, a, b, c]) => ({ file, target: a ?? b ?? c ?? "" }));
});

const layerOf = (file: string): number => LAYERS.indexOf(file.split("/")[0]);

test("every file belongs to a layer", () => {
  expect(sources.filter((file) => layerOf(file) === -1)).toEqual([]);
  expect(imports.length).toBeGreaterThan(sources.length);
});

test("imports only point down the layers", () => {
  const upward = imports
    .filter(({ target }) => target.startsWith("."))
    .map(({ file, target }) => ({ file, to: join(dirname(file), target).split(sep).join("/") }))
    .filter(({ file, to }) => layerOf(to) === -1 || layerOf(to) > layerOf(file));
  expect(upward).toEqual([]);
});

test("no runtime's folder imports another's, but for Node's files on Bun", () => {
  const runtimes = ["node", "deno", "bun", "cloudflare", "browser"];
  const crossing = imports.filter(({ file, target }) => {
    const [layer, runtime] = file.split("/");
    if (layer !== "platform" || !target.startsWith(".")) return false;
    const [, other] = join(dirname(file), target).split(sep);
    return runtimes.includes(other) && runtimes.includes(runtime) && other !== runtime;
  });
  expect(crossing).toEqual([{ file: "platform/bun/files.ts", target: "../node/files.ts" }]);
});

describe("the core", () => {
  const core = sources.filter((file) => CORE.includes(file.split("/")[0]));

  test("imports only the named packages, and nothing of a runtime", () => {
    const packages = imports.filter(
      ({ file, target }) => core.includes(file) && !target.startsWith("."),
    );
    expect(packages.filter(({ target }) => !CORE_PACKAGES.includes(target))).toEqual([]);
  });

  test("names no runtime's globals", () => {
    const using = core.filter((file) => {
      const code = withoutComments(readFileSync(join(root, "src", file), "utf8"));
      return /\b(?:process|Buffer|Deno|Bun|require|__dirname|document|navigator)\s*[.([]/.test(
        code,
      );
    });
    expect(using).toEqual([]);
  });
});

test("the server and Workers import nothing of Node", () => {
  const own = imports.filter(
    ({ file, target }) =>
      /^(?:server|platform\/(?:cloudflare|browser))\//.test(file) &&
      (target.startsWith("node:") || target.includes("/host/")),
  );
  expect(own).toEqual([]);
});

test("no file is longer than the cap", () => {
  const long = ["src", "tests", "scripts", "workers", "wasm"]
    .flatMap((folder) => filesIn(folder, /\.(?:tsx?|mjs|css|c|h)$/))
    .filter((path) => !path.endsWith(".gen.ts"))
    .map((path) => ({ path, lines: readFileSync(join(root, path), "utf8").split("\n").length }))
    .filter(({ lines }) => lines > MAX_LINES);
  expect(long).toEqual([]);
});

test("sources export names, no defaults", () => {
  const defaults = filesIn("src", /\.tsx?$/).filter((path) =>
    /^export default\b/m.test(readFileSync(join(root, path), "utf8")),
  );
  expect(defaults).toEqual([]);
});

describe("the package", () => {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

  test("pins every version, but that of the router, which has to be the one of the app around it", () => {
    const { hono, ...versions } = { ...manifest.dependencies, ...manifest.devDependencies };
    // Two copies of Hono are two types: app.route() would refuse what createApp() gives.
    expect(hono).toMatch(/^\^4\.\d+\.\d+$/);
    const loose = Object.entries<string>(versions).filter(([, v]) => !/^\d+\.\d+\.\d+$/.test(v));
    expect(loose).toEqual([]);
  });

  test.each(["", "site"])("has a lock file that names no host: ./%s", (folder) => {
    const lock = readFileSync(join(root, folder, "package-lock.json"), "utf8");
    expect(lock).not.toContain('"resolved"');
    expect(lock).not.toMatch(/https?:\/\/[^"]*(?:registry|npmjs)/);
  });

  test("exports only files that are built or committed", () => {
    const missing = leaves(manifest.exports)
      .map((path) => path.replace(/^\.\/dist\/(.*)\.js$/, "$1.ts"))
      .filter((path) => !existsSync(join(root, path)));
    expect(leaves(manifest.exports).length).toBeGreaterThan(10);
    expect(missing).toEqual([]);
  });
});

function leaves(value: unknown): string[] {
  return typeof value === "string" ? [value] : Object.values(value as object).flatMap(leaves);
}

function withoutComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}
