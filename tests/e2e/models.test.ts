/** Random models, saving, resizing and caches as bytes: the same bits on every runtime. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findRuntime, packageRoot } from "../../src/cli/runtimes.ts";

const root = packageRoot();
const folder = mkdtempSync(join(tmpdir(), "pronk-models-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RUNTIMES: [string, string, string[]][] = [
  ["node", process.execPath, []],
  ["newer node", findRuntime("node"), []],
  ["deno", findRuntime("deno"), ["run", "-A"]],
  ["bun", findRuntime("bun"), []],
];

function run(name: string, program: string, args: string[]): { out: string; files: string[] } {
  const path = join(folder, name.replace(" ", "-"));
  const script = join(root, "tests", "e2e", "models-child.mjs");
  const out = execFileSync(program, [...args, script, path], {
    cwd: root,
    encoding: "utf8",
    timeout: 180_000,
    env: { ...process.env, DENO_NO_UPDATE_CHECK: "1", DO_NOT_TRACK: "1" },
  });
  const files = readdirSync(path).sort();
  return { out, files: files.map((file) => `${file} ${readFileSync(join(path, file), "base64")}`) };
}

const first = run(...RUNTIMES[0]);

test("a model goes on after it was saved, with the cache of before", () => {
  const { words, sequences, isZero } = JSON.parse(first.out);
  expect(words).toHaveLength(2 * 201);
  expect(sequences.map((row: number[]) => row.length)).toEqual([9, 9]);
  expect(isZero).toBe(true);
  expect(first.files.length).toBeGreaterThan(4);
});

test.each(RUNTIMES.slice(1))("%s gives the same bits and files", (name, program, args) => {
  expect(run(name, program, args)).toEqual(first);
});
