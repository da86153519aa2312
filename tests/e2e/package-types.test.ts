/** What the package declares: found by each way of resolution, and compiled with any set of global types. */
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { type PackedPackage, packPackage } from "./packed-package.ts";

const root = packageRoot();
const tools = join(root, ".cache", "package-tools", "node_modules");

let packed: PackedPackage;
/** A project that has the package and nothing else: no types come in by accident. */
let project: string;
beforeAll(async () => {
  packed = await packPackage();
  project = join(dirname(packed.path), "project");
  mkdirSync(join(project, "node_modules"), { recursive: true });
  symlinkSync(packed.path, join(project, "node_modules", "pronk"));
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
});
afterAll(() => packed?.remove());

/** Its output, whether it fails or not. */
function run(args: readonly string[]): { code: number; output: string } {
  const options = { cwd: project, encoding: "utf8", timeout: 330_000, stdio: "pipe" } as const;
  try {
    return { code: 0, output: execFileSync(process.execPath, args, options) };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
    return { code: status ?? 1, output: stdout + stderr };
  }
}

test("publint finds nothing to say about the package", () => {
  const { code, output } = run([join(tools, "publint/src/cli.js"), packed.tarball, "--strict"]);
  expect(output).toContain("All good!");
  expect(code).toBe(0);
});

test("types are right however a module resolves an entry", () => {
  const attw = join(tools, "@arethetypeswrong/cli/dist/index.js");
  const { code, output } = run([attw, packed.tarball, "--profile", "esm-only", "--no-emoji"]);
  for (const entry of HOSTS) expect(output).toContain(`"pronk${entry}"`);
  expect(code, output).toBe(0);
});

const HOSTS = ["", "/node", "/deno", "/bun"];

/** Programs, by what they know of the world: the entries that compile in them. */
const WORLDS: [name: string, lib: string[], types: string[], entries: string[]][] = [
  ["nothing but the language", ["ES2023"], [], ["/browser"]],
  ["the web", ["ES2023", "DOM", "DOM.Iterable"], [], ["/browser", "/server", "/ai-sdk"]],
  ["a web worker", ["ES2023", "WebWorker"], [], ["/browser", "/server", "/ai-sdk"]],
  ["Node", ["ES2023"], ["node"], [...HOSTS, "/browser", "/server", "/ai-sdk"]],
  [
    "workerd",
    ["ES2023"],
    ["@cloudflare/workers-types"],
    ["/cloudflare", "/cloudflare/service", "/server", "/browser", "/ai-sdk"],
  ],
];

/** Errors of a program that imports the entries. */
function compile(
  compiler: string,
  lib: readonly string[],
  types: readonly string[],
  entries: readonly string[],
): string[] {
  const names = entries.map((entry) => `pronk${entry}`);
  const lines = names.map((name, i) => `export * as entry${i} from "${name}";\n`);
  writeFileSync(join(project, "program.ts"), lines.join(""));
  const compilerOptions = {
    ...{ target: "ES2023", module: "NodeNext", strict: true, noEmit: true, skipLibCheck: false },
    ...{ lib, types, typeRoots: [join(root, "node_modules"), join(root, "node_modules/@types")] },
  };
  writeFileSync(
    join(project, "tsconfig.json"),
    JSON.stringify({ compilerOptions, files: ["program.ts"] }),
  );
  const { output } = run([compiler, "-p", "."]);
  return output.split("\n").filter((line) => line.includes("error TS"));
}

/** @ai-sdk/provider names types of json-schema, which has none of its own. */
const NOT_OURS = /node_modules\/@ai-sdk\/provider\/.*'json-schema'/;

const compilers = {
  new: join(root, "node_modules/typescript/bin/tsc"),
  old: join(tools, "typescript-5/bin/tsc"),
};

test.each(WORLDS)("a program that knows %s compiles", (_, lib, types, entries) => {
  const errors = compile(compilers.new, lib, types, entries);
  expect(errors.filter((line) => !NOT_OURS.test(line))).toEqual([]);
});

test("the oldest TypeScript that Hono's types allow reads ours, too", () => {
  const [, lib, types, entries] = WORLDS.find(([name]) => name === "Node") ?? WORLDS[0];
  const errors = compile(compilers.old, lib, types, entries);
  expect(errors.filter((line) => !NOT_OURS.test(line))).toEqual([]);
});

test("an entry that is not there does not compile", () => {
  expect(compile(compilers.new, ["ES2023"], [], ["/browser", "/nowhere"])).toEqual([
    expect.stringContaining("Cannot find module 'pronk/nowhere'"),
  ]);
});
