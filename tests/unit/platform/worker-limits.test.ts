/** What the deployed Worker says of its limits, in two places. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("the Worker counts on the CPU time that wrangler.toml asks for, and hears of clients that leave", () => {
  const toml = readFileSync("wrangler.toml", "utf8");
  const asked = /^cpu_ms = (\d+)$/m.exec(toml)?.[1];
  const counted = /cpuMs: ([\d_]+)/.exec(readFileSync("workers/cloudflare.ts", "utf8"))?.[1];
  expect(Number(counted?.replaceAll("_", ""))).toBe(Number(asked));
  expect(toml).toMatch(/^compatibility_flags = \[.*"enable_request_signal".*\]$/m);
});
