/** What is served of a text's log-probabilities, beside what the command says of the same text. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { type ChildServer, startServer } from "./child-server.ts";
import { DEFAULT_PACK } from "./environment.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const MODEL = "smollm2-135m-instruct";
const TEXT = `${"The river rises in the hills, and runs for many miles to the sea. ".repeat(4)}
Café, naïve, 東京 and 🦙 are words like others: x = 3.14159 * r ** 2; print("Hello").`;

let server: ChildServer;
const folder = mkdtempSync(join(tmpdir(), "pronk-evaluation-"));
beforeAll(async () => {
  server = await startServer({ program: process.execPath, args: [main] }, [DEFAULT_PACK]);
}, 120_000);
afterAll(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

test("the sum over an echoed text is that of pronk eval; every token is among the top ones", async () => {
  const file = join(folder, "text.txt");
  writeFileSync(file, TEXT);
  const args = [main, "eval", DEFAULT_PACK, "--text", file, "--json"];
  const { nll, tokens } = JSON.parse(
    execFileSync(process.execPath, args, { encoding: "utf8", timeout: 360_000 }),
  );
  const response = await fetch(`${server.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: MODEL, prompt: TEXT, max_tokens: 8, logprobs: 1, echo: true }),
    signal: AbortSignal.timeout(180_000),
  });
  const { text, logprobs } = (await response.json()).choices[0];
  expect(text.startsWith(TEXT)).toBe(true);
  const own: number[] = logprobs.token_logprobs.slice(1, tokens + 1);
  expect(own).toHaveLength(tokens);
  expect(own.every(Number.isFinite)).toBe(true);
  const sum = own.reduce((total, one) => total + one, 0);
  expect(Math.abs(sum + nll * tokens)).toBeLessThan(1e-6);
  for (const [i, token] of logprobs.tokens.entries()) {
    if (i === 0) continue;
    const top = logprobs.top_logprobs[i];
    expect(top).toHaveProperty([token]);
    expect(Math.max(...(Object.values(top) as number[]))).toBeGreaterThanOrEqual(
      logprobs.token_logprobs[i],
    );
  }
});
