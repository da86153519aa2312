/** The TypeScript that documents show, beside the pages that tests run whole: it has the types that it says. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { blocksOf } from "./run-document.ts";

const root = packageRoot();

/** In the package, so that `pronk` is this one. */
mkdirSync(join(root, ".cache"), { recursive: true });
const folder = mkdtempSync(join(root, ".cache", "document-types-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What blocks take from their readers' code: its name, and its type. */
const AROUND = `import type * as pronk from "pronk";
import type { r2Source } from "pronk/cloudflare";
declare global {
  type Bucket = Parameters<typeof r2Source>[0];
  type Env = { MODELS: Bucket; PACK: string; ENGINES: never };
  const env: Env;
  const relaxed: WebAssembly.Module;
  const plain: WebAssembly.Module;
  const model: pronk.LlamaForCausalLM;
  const engine: pronk.Engine;
  const input_ids: number[][];
  const attention_mask: number[][];
  const prompt_ids: number[];
  const bytesOfTokenizerModel: Uint8Array;
  const socket: WebSocket;
  const open: (url: string) => Promise<WebSocket>;
  const urls: string[];
  const conversation: string;
  const tokenizer: Parameters<typeof pronk.openRemoteEngine>[0]["tokenizer"];
  const template: Parameters<typeof pronk.openRemoteEngine>[0]["template"];
  const createEngine: typeof pronk.createEngine;
}
`;

const PAGES = ["README.md", "CONTRIBUTING.md"].concat(
  ["docs", "docs/guides", "docs/deploy"].flatMap((of) =>
    readdirSync(join(root, of))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `${of}/${name}`),
  ),
);

const blocks = PAGES.flatMap((page) =>
  blocksOf(readFileSync(join(root, page), "utf8"))
    .filter(({ language }) => language === "ts")
    .map(({ text }, index) => ({
      name: `${page.replaceAll("/", "-")}-${index + 1}.ts`,
      text,
      isWorkers: text.includes("pronk/cloudflare"),
    })),
);

/** What tsc says of these files, by one runtime's own types. */
async function complaints(
  names: readonly string[],
  types: string,
  lib: readonly string[],
  condition: string,
): Promise<string> {
  const config = join(folder, `tsconfig.${condition}.json`);
  const compilerOptions = {
    ...{ target: "ES2023", lib, types: [types], customConditions: [condition] },
    ...{ module: "Preserve", moduleResolution: "Bundler", moduleDetection: "force" },
    ...{ strict: true, noEmit: true, skipLibCheck: true },
  };
  writeFileSync(config, JSON.stringify({ compilerOptions, files: ["around.d.ts", ...names] }));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  return new Promise((resolve) => {
    const line = [tsc, "-p", config, "--pretty", "false"];
    execFile(process.execPath, line, { cwd: folder, timeout: 360_000 }, (_, out) => resolve(out));
  });
}

const check = async (files: readonly { name: string; text: string; isWorkers: boolean }[]) => {
  writeFileSync(join(folder, "around.d.ts"), AROUND);
  for (const { name, text } of files) writeFileSync(join(folder, name), text);
  const names = (isWorkers: boolean) =>
    files.filter((file) => file.isWorkers === isWorkers).map(({ name }) => name);
  const said = [
    await complaints(names(false), "node", ["ES2023", "ESNext.Disposable", "WebWorker"], "node"),
    await complaints(names(true), "@cloudflare/workers-types", ["ES2023"], "workerd"),
  ];
  return said.join("").trim();
};

test("every block of TypeScript type-checks", async () => {
  expect(blocks.length).toBeGreaterThan(30);
  expect(await check(blocks)).toBe("");
});

test("a name that the package does not have is found", async () => {
  const text = 'import { LlamaForCausalLm } from "pronk";\nnew LlamaForCausalLm();\n';
  expect(await check([{ name: "wrong.ts", text, isWorkers: false }])).toContain(
    "has no exported member named 'LlamaForCausalLm'",
  );
});
