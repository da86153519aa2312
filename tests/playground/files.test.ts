/** Files that are dropped on the page: a model is opened and kept, anything else is refused in words. */
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, inject } from "vitest";
import { commandLineOn, runChild } from "../../src/cli/child.ts";
import { MODEL_FILE, QUESTION } from "../e2e/environment.ts";
import { REFUSED_FILES } from "../support/refused-files.ts";
import { answers, say, setGreedy, untilAnswered } from "./chat-page.ts";
import { inPage } from "./in-page.ts";
import { expectLooksRight } from "./looks-right.ts";
import { type PageServer, servePage } from "./serve-page.ts";
import { drop, facts, models, untilOpen } from "./tab-page.ts";

let server: PageServer;
let folder: string;
beforeAll(async () => {
  server = await servePage(inject("pageFolder"));
  folder = await mkdtemp(join(tmpdir(), "pronk-dropped-"));
});
afterAll(async () => {
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

inPage(
  "a GGUF that is dropped answers, and is there again when the page is",
  { url: () => server.url, stepLimitMs: 60_000 },
  async (page) => {
    await models(page)
      .getByRole("button", { name: /^Download/ })
      .waitFor();
    await drop(page, MODEL_FILE);
    await untilOpen(page);
    await setGreedy(page);
    await say(page, QUESTION);
    await untilAnswered(page);
    const text = await answers(page).first().locator(".markdown").textContent();
    expect(text).toBe("A week is approximately 7 days.");
    expect(server.sentBytes).toBe(0);

    await page.reload();
    await expect.poll(() => page.locator("#settings-button").textContent()).toContain("wasm");
    expect((await facts(page)).Model).toBeTruthy();
    // Removed, it is gone for good.
    const remove = page.getByRole("button", { name: /^Remove .* from this browser/ }).first();
    await remove.click();
    await page.getByText("Kept in this browser: 0 B").first().waitFor();
  },
);

inPage(
  "what is no model for a tab is refused as the command line refuses it, and the page goes on",
  { url: () => server.url },
  async (page) => {
    await models(page)
      .getByRole("button", { name: /^Download/ })
      .waitFor();
    for (const [index, [what, bytes, size]] of REFUSED_FILES.entries()) {
      const path = join(folder, `dropped-${index}.gguf`);
      await writeFile(path, bytes);
      if (size !== undefined) await truncate(path, size);
      await drop(page, path);
      const alert = models(page).getByRole("alert");
      await alert.filter({ hasText: basename(path) }).waitFor();
      const words = ((await alert.textContent()) ?? "").trim();
      expect(await refusal(path), what).toContain(words.replace(`${basename(path)}: `, ""));
      expect(words.length, what).toBeGreaterThan(30);
    }
    await expectLooksRight(page, "tab-refused");
    expect(
      await models(page)
        .getByRole("button", { name: /^Download/ })
        .isEnabled(),
    ).toBe(true);
  },
);

/** What `pronk run` says of a file. */
async function refusal(path: string): Promise<string> {
  const args = ["run", path, "--prompt", "x", "--stages", "1"];
  const how = { timeoutMs: 60_000, reason: (said: string) => said };
  const said = runChild(commandLineOn("node"), args, how);
  return said.then(
    () => expect.unreachable(`${path} was run`),
    (error: Error) => error.message,
  );
}
