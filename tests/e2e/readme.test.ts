/** The README is short, and its examples compile against the build; tests/e2e/documents.test.ts runs its commands. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";

const root = packageRoot();
const readme = readFileSync(join(root, "README.md"), "utf8");
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** The README is one page. */
const MAX_LINES = 120;

const blocks = (language: string, document: string = readme): string[] =>
  [...document.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)]
    .filter(([, found]) => found === language)
    .map(([, , text]) => text);

test("the README stays short", () => {
  expect(readme.split("\n").length).toBeLessThanOrEqual(MAX_LINES + 1);
});

test("every npm script that it names exists", () => {
  const named = [
    ...readme.matchAll(/`(?:npm run )?(test:\w+)`|npm (?:run ([\w:]+)|(start|test))/g),
  ].map(([, a, b, c]) => a ?? b ?? c);
  expect(named.length).toBeGreaterThan(6);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});

test("its examples compile against the built package", () => {
  const folder = join(root, ".cache", "readme");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const examples = blocks("ts");
  expect(examples.length).toBe(3);
  examples.forEach((text, i) => {
    writeFileSync(join(folder, `example-${i}.ts`), text);
  });
  const compilerOptions = {
    target: "ES2023",
    module: "NodeNext",
    lib: ["ES2023", "ESNext.Disposable", "WebWorker"],
    types: ["node"],
    typeRoots: [join(root, "node_modules", "@types")],
    strict: true,
    noEmit: true,
  };
  const config = { compilerOptions, include: ["*.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [tsc, "-p", folder], { cwd: folder, encoding: "utf8" });
});

test("the examples of docs/embedding.md compile with the types of Workers alone", () => {
  const document = readFileSync(join(root, "docs", "embedding.md"), "utf8");
  const folder = join(root, ".cache", "embedding");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const examples = blocks("ts", document);
  expect(examples.length).toBe(7);
  examples.forEach((text, i) => {
    writeFileSync(join(folder, `example-${i}.ts`), text);
  });
  const compilerOptions = {
    target: "ES2022",
    module: "ESNext",
    moduleResolution: "Bundler",
    lib: ["ES2022"],
    types: ["@cloudflare/workers-types"],
    strict: true,
    noEmit: true,
  };
  const config = { compilerOptions, include: ["*.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [tsc, "-p", folder], { cwd: folder, encoding: "utf8" });
});
