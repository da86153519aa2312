/**
 * Writes the shaders of wgsl/ as strings into src/backends/webgpu/shaders.gen.ts: sources are bundled, files are not.
 *
 *   node scripts/build-wgsl.mjs           writes
 *   node scripts/build-wgsl.mjs --check   fails when what is committed differs
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const SOURCES = join(root, "wgsl");
const TARGET = join(root, "src/backends/webgpu/shaders.gen.ts");

function shadersIn(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return shadersIn(path);
      return entry.name.endsWith(".wgsl") ? [path] : [];
    })
    .sort();
}

/** Comments and indentation are for readers: a browser need not fetch them. */
function shorten(code) {
  return code
    .split("\n")
    .map((line) => line.replace(/\/\/.*$/, "").trim())
    .filter((line) => line !== "")
    .join("\n");
}

function writeShaders() {
  const shaders = shadersIn(SOURCES).map((path) => {
    const name = relative(SOURCES, path)
      .split(sep)
      .join("/")
      .replace(/\.wgsl$/, "");
    return [name, shorten(readFileSync(path, "utf8"))];
  });
  const version = createHash("sha256").update(JSON.stringify(shaders)).digest("hex").slice(0, 16);
  const entries = shaders.map(
    ([name, code]) => `  ${JSON.stringify(name)}: \`\n${code.replace(/[`\\$]/g, "\\$&")}\`,\n`,
  );
  return `// Written by scripts/build-wgsl.mjs from wgsl/: do not edit.

/** Changes with any shader. */
export const SHADER_VERSION = "${version}";

/** By path in wgsl/, without the ending. */
export const SHADERS = {
${entries.join("")}} as const;

export type ShaderName = keyof typeof SHADERS;
`;
}

const written = writeShaders();
if (!process.argv.includes("--check")) writeFileSync(TARGET, written);
else if (readFileSync(TARGET, "utf8") !== written) {
  console.error("src/backends/webgpu/shaders.gen.ts is not what wgsl/ gives: npm run build:wgsl");
  process.exit(1);
}
