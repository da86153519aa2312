/** How much the page is, before its model: a budget, so that it does not grow unseen. */
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const folder = fileURLToPath(new URL("../../../dist/playground/static", import.meta.url));
const script = new URL("../../../scripts/playground/first-load.mjs", import.meta.url);
const { firstLoad } = await import(script.href);

/** What a phone fetches in a second, with some room; it is 139 kB. */
const BUDGET_BYTES = 150_000;

test("the page, the engine and its kernels are under 150 kB gzipped, before a model", () => {
  expect(existsSync(folder), "npm run build makes it").toBe(true);
  const { bytes, files } = firstLoad(folder);
  const names = (part: string): string[] => files[part].map((path: string) => basename(path));
  expect(names("page")).toContain("index.html");
  expect(names("engine")[0]).toMatch(/^tab-worker-/);
  expect(names("kernels")).toHaveLength(1);
  expect(bytes).toBeLessThan(BUDGET_BYTES);
  // Else something is not counted.
  expect(bytes).toBeGreaterThan(BUDGET_BYTES / 2);
});
