/** Benches that end within seconds where little is asked of them: from their arguments to their figures. */
import { execFile } from "node:child_process";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";

const root = packageRoot();

/** On a machine that does other things, too. */
const BENCH_MS = 240_000;

const bench = (line: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const args = ["scripts/bench.mjs", ...line.split(" "), "--json"];
    execFile(
      process.execPath,
      args,
      { cwd: root, timeout: BENCH_MS, maxBuffer: 2 ** 26 },
      (error, out, err) => (error ? reject(new Error(`${line}: ${err}`)) : resolve(out)),
    );
  });

/** Every number of a document, however deep. */
function numbersOf(value: unknown): number[] {
  if (typeof value === "number") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(numbersOf);
}

test.each([
  "--reps 1 --contexts 64",
  "kernels gemv",
  "prefix --tokens 64 --rounds 1",
  "scaling 15m --rounds 1",
  "speculation --rounds 1 --max-tokens 16",
  "stages --shape 15m --rounds 1",
])(
  "npm run bench -- %s",
  async (line) => {
    const numbers = numbersOf(JSON.parse(await bench(line)));
    expect(numbers.length).toBeGreaterThan(5);
    expect(numbers.every(Number.isFinite)).toBe(true);
    expect(numbers.filter((number) => number > 0).length).toBeGreaterThan(5);
  },
  BENCH_MS + 10_000,
);
