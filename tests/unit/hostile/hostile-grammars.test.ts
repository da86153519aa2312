/** Grammars that attack are bounded in time and memory, all of them in one process whose heap has 128 MB. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { GrammarReport } from "./grammar-child.ts";
import { HOSTILE_GRAMMARS } from "./hostile-grammars.ts";

const HEAP_MB = 128;
/** What blocks the process at most: of compiling, and of one token. On an idle machine a third of it. */
const MOST_COMPILE_MS = 6_000;
const MOST_TOKEN_MS = 6_000;
const MOST_KEPT_BYTES = 40e6;

const root = mkdtempSync(join(tmpdir(), "pronk-grammars-"));
const reports = new Map<string, GrammarReport>();
beforeAll(async () => {
  const outfile = join(root, "grammar-child.mjs");
  const entryPoints = ["tests/unit/hostile/grammar-child.ts"];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm" });
  const args = [`--max-old-space-size=${HEAP_MB}`, outfile];
  const child = spawnSync(process.execPath, args, { timeout: 170_000, encoding: "utf8" });
  for (const line of child.stdout.split("\n").filter(Boolean)) {
    const report: GrammarReport = JSON.parse(line);
    reports.set(report.name, report);
  }
  expect([child.status, child.stderr]).toEqual([0, ""]);
}, 180_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

for (const [name] of HOSTILE_GRAMMARS) {
  test(name, () => {
    const report = reports.get(name);
    expect(report?.compileMs).toBeLessThan(MOST_COMPILE_MS);
    expect(report?.slowestMs).toBeLessThan(MOST_TOKEN_MS);
    expect(report?.keptBytes).toBeLessThan(MOST_KEPT_BYTES);
  });
}
