/** What a program pays for one import: the bytes that a bundler keeps of the package and of what it depends on. */
import { mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PackedPackage, packPackage } from "./packed-package.ts";

let packed: PackedPackage;
let project: string;
beforeAll(async () => {
  packed = await packPackage();
  project = join(dirname(packed.path), "project");
  mkdirSync(join(project, "node_modules"), { recursive: true });
  symlinkSync(packed.path, join(project, "node_modules", "pronk"));
});
afterAll(() => packed?.remove());

interface Bundle {
  /** Gzipped, with all that it loads on demand. */
  readonly bytes: number;
  readonly modules: readonly string[];
}

/** A program that uses one export of an entry. */
async function bundle(name: string, entry: string): Promise<Bundle> {
  const contents = `import { ${name} } from "pronk${entry}";\nconsole.log(${name});`;
  const { metafile, outputFiles } = await build({
    stdin: { contents, resolveDir: project, sourcefile: "program.js" },
    absWorkingDir: project,
    outdir: "out",
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    // Built into every runtime of the entries that use them.
    external: ["node:*", "cloudflare:*", "process", "buffer"],
  });
  const [output] = Object.values(metafile.outputs);
  return {
    bytes: gzipSync(outputFiles[0]?.contents ?? "").length,
    modules: Object.entries(output?.inputs ?? {})
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .map(([module]) => module),
  };
}

/** What is far from a tokenizer: its code in a bundle is code that nobody asked for. */
const MODELS = /dist\/src\/(?:backends|engine|stages|server|llama\/(?:modeling|pipelines))\//;

/** Gzipped, at most; of a tokenizer 15 KB are the language of chat templates. */
const BUDGETS: [entry: string, name: string, bytes: number][] = [
  ["/browser", "PronkError", 1_000],
  ["/browser", "LLAMA_SIZES", 2_000],
  ["/browser", "httpFolder", 5_000],
  ["/browser", "LlamaTokenizerFast", 77_000],
  ["/browser", "createEngine", 220_000],
  ["/cloudflare", "PronkError", 1_000],
  ["/cloudflare", "r2Source", 4_000],
  ["/cloudflare", "LlamaTokenizerFast", 77_000],
  ["/cloudflare/service", "connectLlm", 2_000],
  ["/server", "jsonLogLine", 5_000],
  ["/server", "createLlm", 30_000],
  ["/ai-sdk", "createPronk", 32_000],
  ["/node", "PronkError", 1_000],
  ["/node", "httpFolder", 5_000],
  ["/deno", "PronkError", 1_000],
  ["/bun", "PronkError", 1_000],
];

test.each(BUDGETS)("pronk%s: a program with %s has at most %i bytes", async (entry, name, most) => {
  const { bytes } = await bundle(name, entry);
  console.log(`pronk${entry}: ${name}: ${(bytes / 1000).toFixed(1)} KB gzipped`);
  expect(bytes).toBeLessThan(most);
});

// On hosts with files what opens a model's name may pack it, too: code that is loaded on demand.
test.each(["/browser", "/cloudflare"])(
  "pronk%s: a tokenizer has none of the models",
  async (entry) => {
    const { modules } = await bundle("LlamaTokenizerFast", entry);
    expect(modules.some((module) => module.includes("llama-tokenizer-fast"))).toBe(true);
    // Names are opened as those of models are.
    const own = modules.filter(
      (module) => MODELS.test(module) && !/pretrained-source/.test(module),
    );
    expect(own).toEqual([]);
  },
);
