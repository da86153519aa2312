/** docs/limits.md: what fits a budget is what `pronk inspect` plans. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { MODEL_FILE } from "./environment.ts";

const root = packageRoot();
const main = join(root, "dist", "src", "cli", "main.js");
const [, below = ""] = readFileSync(join(root, "docs", "limits.md"), "utf8").split("## What fits");
const [, ...rows] = (/(?:^\|.*\n)+/m.exec(below)?.[0] ?? "")
  .trim()
  .split("\n")
  .filter((line) => !/^\|[-|]+$/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim().replaceAll(/[`,]/g, "")));

/** Of a position: keys and values of 30 layers, 3 heads of 64 numbers and a scale. */
const CACHE_BYTES: Readonly<Record<string, number>> = {
  int8: 30 * 2 * 3 * (64 + 4),
  int16: 30 * 2 * 3 * (2 * 64 + 4),
};

const inspect = (...options: string[]): string =>
  execFileSync(process.execPath, [main, "inspect", MODEL_FILE, ...options], {
    encoding: "utf8",
    timeout: 180_000,
  });

test.each(rows.filter(([, , , positions]) => positions !== ""))(
  "%s%s: %s",
  (_, budget = "", form = "", positions = "", megabytes = "") => {
    const [size = ""] = /^\d+ MB/.exec(budget) ?? [];
    const ctx = /--ctx (\d+)/.exec(budget)?.slice(1) ?? [];
    const args = ["--budget", size.replace(" ", ""), ...ctx.flatMap((n) => ["--ctx", n]), "--json"];
    const { choice, memory } = JSON.parse(inspect(...args));
    const kv = /int\d+/.exec(form)?.[0] ?? "";
    const profile = form.includes("profile small") ? "small" : "default";
    expect(choice).toEqual({ quantization: form.split(" ")[0], profile, kv });
    // Values lie in whole blocks of positions.
    const room = memory.kv / CACHE_BYTES[kv]! - Number.parseInt(positions, 10);
    expect(room).toBeGreaterThanOrEqual(0);
    expect(room).toBeLessThan(16);
    expect((memory.total / 1e6).toFixed(1)).toBe(Number.parseFloat(megabytes).toFixed(1));
  },
);

test("what is smaller than the table's first row fits nothing of that length", () => {
  expect(rows.length).toBe(7);
  const [, budget = ""] = rows[0] ?? [];
  const [size = ""] = /^\d+ MB/.exec(budget) ?? [];
  expect(inspect("--budget", size.replace(" ", ""))).toMatch(/no form fits: .* at ctx 1024/);
});
