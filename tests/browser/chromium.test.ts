/** The entry for browsers in a real one: headless Chromium, which has relaxed SIMD. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runChild } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { ANSWER_IDS, DEFAULT_PACK, MODEL_FILE, QUESTION } from "../e2e/environment.ts";

// Plain JavaScript without declarations, so that scripts run unbuilt.
const script = (name: string) =>
  import(new URL(`../../scripts/bench/browser/${name}.mjs`, import.meta.url).href);
const { findChromium } = await script("find-chromium");
const { runPage } = await script("run-page");

const root = packageRoot();
const chromium = findChromium();
const { resolve } = createRequire(import.meta.url);
const jinja = resolve("@huggingface/jinja");
const yaml = resolve("yaml/package.json");

/** What the page answers. Nothing is bundled: an import map has the packages. */
async function inPage(setting: Record<string, unknown>): Promise<Record<string, unknown>> {
  const mounts = {
    "/dist/": join(root, "dist"),
    "/wasm/": join(root, "wasm"),
    "/jinja/": dirname(jinja),
    "/yaml/": dirname(yaml),
    "/tests/": fileURLToPath(new URL(".", import.meta.url)),
    "/pack/": DEFAULT_PACK,
    "/model.gguf": MODEL_FILE,
  };
  const module = "/tests/page.mjs";
  const { answer } = await runPage({
    chromium,
    mounts,
    limitMs: 100_000,
    setting: { task: "answer", module, ...setting },
  });
  return answer;
}

test.each([
  ["a pack", "/pack"],
  ["a GGUF file, packed in memory,", "/model.gguf"],
])("%s over HTTP answers as it does everywhere", async (_, model) => {
  const messages = [{ role: "user", content: QUESTION }];
  const text = "A week is approximately 7 days.";
  expect(await inPage({ model, messages, tokens: 16 })).toEqual({
    ids: ANSWER_IDS,
    text,
    streamed: text,
  });
});

test("every kernel gives the hash of Node", { timeout: 600_000 }, async () => {
  const line = { program: process.execPath, args: [join(root, "dist", "src", "cli", "main.js")] };
  const options = ["hash", DEFAULT_PACK, "--json"];
  const { logits_sha256, ids } = JSON.parse(await runChild(line, options, { timeoutMs: 250_000 }));
  for (const [kernel, chunk] of [
    ["dot", 64],
    ["m", 24],
    ["simd", 64],
  ]) {
    expect(await inPage({ model: "/pack", kernel, chunk })).toEqual({ logits_sha256, ids, kernel });
  }
});

test("two threads give the hash of one, where the page may share memory", {
  timeout: 600_000,
}, async () => {
  const asked = { model: "/pack", kernel: "m", chunk: 64, threads: 2 };
  const alone = await inPage(asked);
  expect(alone).toMatchObject({
    threads: 1,
    reason: expect.stringContaining("not cross-origin isolated"),
  });
  const { logits_sha256, ids } = alone;
  const together = await inPage({ ...asked, isolated: true });
  expect(together).toEqual({ logits_sha256, ids, kernel: "m", threads: 2 });
});

test("an error in a page is the error here", async () => {
  await expect(inPage({ model: "/none", messages: [], tokens: 1 })).rejects.toThrow(/none.*404/);
});
