/**
 * Writes src/backends/wasm/kernels.gen.ts from the prototypes in wasm/*.c and the exports of the built
 * modules. Needs no C compiler: prototypes are plain text, one `EXPORT(name)` above each.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readModule } from "./wasm-module.mjs";

/** What a C type is in WebAssembly and in TypeScript. */
const TYPES = new Map([
  ["void", { wasm: undefined, ts: "void" }],
  ["int32_t", { wasm: "i32", ts: "number" }],
  ["uint32_t", { wasm: "i32", ts: "number" }],
  ["float", { wasm: "f32", ts: "number" }],
  ["double", { wasm: "f64", ts: "number" }],
  ["pointer", { wasm: "i32", ts: "Pointer" }],
]);
const PROTOTYPE = /EXPORT\((\w+)\)\s+((?:[\w]+\s+)+\**)\s*(\w+)\(([^)]*)\)/g;

/** Exports that are no kernels: the linker's, and what a module of emscripten starts with. */
const NOT_KERNELS = new Set(["__heap_base", "_initialize", "memory"]);

/** Every exported function of every C file: name, result, parameters, comment, file. */
export function readPrototypes(folder) {
  return sources(folder)
    .filter(({ file }) => file.endsWith(".c"))
    .flatMap(({ file, text }) => {
      const found = [...text.matchAll(PROTOTYPE)].map((match) => toPrototype(file, text, match));
      const marks = [...text.matchAll(/^EXPORT\(/gm)].length;
      if (found.length !== marks)
        throw new Error(`wasm/${file}: ${marks} EXPORTs, ${found.length} readable prototypes`);
      return found;
    });
}

function toPrototype(file, text, match) {
  const [, exported, result, name, list] = match;
  if (exported !== name) throw new Error(`wasm/${file}: EXPORT(${exported}) stands above ${name}`);
  const parameters = list
    .split(",")
    .map((entry) => entry.trim().replace(/\s+/g, " "))
    .filter((entry) => entry !== "void")
    .map((entry) => {
      const [, type, parameter] = /^(.*?[\s*])(?:restrict )?(\w+)$/.exec(entry) ?? [];
      return {
        name: parameter,
        type: typeOf(type ?? entry, `wasm/${file}: ${name}: ${entry}`),
        c: entry,
      };
    });
  return {
    name,
    file,
    result: typeOf(result, `wasm/${file}: ${name}`),
    parameters,
    comment: commentOf(text, match.index),
  };
}

function typeOf(c, where) {
  const type = TYPES.get(c.includes("*") ? "pointer" : c.replace("const", "").trim());
  if (!type) throw new Error(`${where}: a type that JavaScript cannot pass`);
  return type;
}

/** The comment right above a function, or the first paragraph of its file. */
function commentOf(text, index) {
  const above = /((?:^\/\/.*\n)+)$/m.exec(text.slice(0, index));
  const own = above && above.index > 0 ? above[1] : text.split(/^(?!\/\/ )/m)[0];
  return own
    .replace(/^\/\/ ?/gm, "")
    .trim()
    .split("\n");
}

function sources(folder) {
  return readdirSync(folder)
    .filter((file) => /\.[ch]$/.test(file))
    .sort()
    .map((file) => ({ file, text: readFileSync(join(folder, file), "utf8") }));
}

/** The kernels' version: a hash over every C file. */
export function kernelVersion(folder) {
  const hash = createHash("sha256");
  for (const { file, text } of sources(folder)) hash.update(`${file}\0${text}\0`);
  return hash.digest("hex").slice(0, 16);
}

/** The names of a module's kernels, checked against the prototypes; its imports are checked too. */
function kernelNames(name, bytes, prototypes) {
  const module = readModule(bytes);
  const imports = module.imports.map((entry) => `${entry.module}.${entry.name} (${entry.kind})`);
  if (imports.join() !== "env.memory (memory)")
    throw new Error(`${name}: imports ${imports.join(", ")}`);
  if (!module.exports.some((entry) => entry.name === "__heap_base"))
    throw new Error(`${name}: no __heap_base`);
  const byName = new Map(prototypes.map((prototype) => [prototype.name, prototype]));
  const kernels = module.exports.filter((entry) => !NOT_KERNELS.has(entry.name));
  for (const entry of kernels) {
    const prototype = byName.get(entry.name);
    if (!prototype) throw new Error(`${name}: exports ${entry.name}, which no C file declares`);
    const c = prototype.parameters.map(({ type }) => type.wasm);
    const result = prototype.result.wasm === undefined ? [] : [prototype.result.wasm];
    if (c.join() !== entry.parameters.join() || result.join() !== entry.results.join()) {
      throw new Error(
        `${name}: ${entry.name}(${entry.parameters}) differs from its prototype in wasm/${prototype.file}`,
      );
    }
  }
  return kernels.map((entry) => entry.name).sort();
}

/** The text of kernels.gen.ts. `modules` maps relaxed, plain and wide to their bytes; wide exports what relaxed does. */
export function writeGlue(folder, modules) {
  const prototypes = readPrototypes(folder).sort((a, b) => (a.name < b.name ? -1 : 1));
  const relaxed = kernelNames("relaxed.wasm", modules.relaxed, prototypes);
  const plain = kernelNames("plain.wasm", modules.plain, prototypes);
  const wide = kernelNames("wide.wasm", modules.wide, prototypes);
  if (wide.join() !== relaxed.join()) throw new Error("wide.wasm exports others than relaxed.wasm");
  const inRelaxed = new Set(relaxed);
  const inPlain = new Set(plain);
  const missing = prototypes.filter(({ name }) => !inRelaxed.has(name) && !inPlain.has(name));
  if (missing.length)
    throw new Error(`no module exports ${missing.map(({ name }) => name).join(", ")}`);
  const members = (wanted) => prototypes.filter(wanted).map(toMember).join("\n");

  return `/** Generated by scripts/build-wasm.mjs from wasm/*.c: do not edit. */

/** A byte offset in the kernels' memory. */
export type Pointer = number;

/** A hash of the C sources that the modules were built from. */
export const KERNEL_VERSION = "${kernelVersion(folder)}";

/** The kernels that both modules export. Sizes and pointers are not checked by them. */
export interface Kernels {
  /** The first byte after the modules' own stack and data: memory from here on is the caller's. */
  readonly __heap_base: WebAssembly.Global;
${members(({ name }) => inRelaxed.has(name) && inPlain.has(name))}
}

/** The kernels of relaxed.wasm and of wide.wasm: variants dot and m. */
export interface RelaxedKernels extends Kernels {
${members(({ name }) => inRelaxed.has(name) && !inPlain.has(name))}
}

/** The kernels of plain.wasm: variant simd. */
export interface PlainKernels extends Kernels {
${members(({ name }) => !inRelaxed.has(name) && inPlain.has(name))}
}

/** Every function that each module exports, sorted. */
export const KERNEL_NAMES: { readonly relaxed: readonly string[]; readonly plain: readonly string[] } = {
  relaxed: [
${relaxed.map((name) => `    "${name}",`).join("\n")}
  ],
  plain: [
${plain.map((name) => `    "${name}",`).join("\n")}
  ],
};
`;
}

function toMember({ name, file, result, parameters, comment }) {
  const list = parameters.map(
    (parameter) => `    ${camelCase(parameter.name)}: ${parameter.type.ts}, // ${parameter.c}`,
  );
  return `  /**
${comment.map((line) => `   * ${line}`.trimEnd()).join("\n")}
   *
   * Source: wasm/${file}
   */
  ${name}(
${list.join("\n")}
  ): ${result.ts};`;
}

const camelCase = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
