/** A model comes once: a download that was stopped goes on, and what came works without a network. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, inject, onTestFinished } from "vitest";
import { QUESTION } from "../e2e/environment.ts";
import { answers, goTo, say, setGreedy, untilAnswered } from "./chat-page.ts";
import { inPage } from "./in-page.ts";
import { expectLooksRight } from "./looks-right.ts";
import { type PageServer, servePage } from "./serve-page.ts";
import { models, openModel, untilOpen } from "./tab-page.ts";

/** So that a download has begun when it is looked at. */
const SLOW_BYTES_PER_SECOND = 12e6;

/** So that there is time to look at it, and to stop it: a minute and more for the rest. */
const SLOWER_BYTES_PER_SECOND = 1e6;

/** A shard, of which what had not been written when its connection was cut comes again. */
const AGAIN_BYTES = 16 * 2 ** 20;

let server: PageServer;

/** A host of its own, which the test may end. */
const own = { url: () => server.url };

async function ownServer(): Promise<void> {
  server = await servePage(inject("pageFolder"));
  onTestFinished(() => server.close());
}

const ANSWER = "A week is approximately 7 days.";

function modelBytes(): number {
  const list = JSON.parse(readFileSync(join(inject("pageFolder"), "models.json"), "utf8"));
  return list.models[0].bytes;
}

/** How far a download is, of 1. */
async function progress(page: Page): Promise<number> {
  const bar = models(page).getByRole("progressbar");
  const [value, max] = await Promise.all([bar.getAttribute("value"), bar.getAttribute("max")]);
  return Number(value ?? 0) / Number(max ?? 1);
}

inPage(
  "a download is paused and goes on, also after a reload, and no byte of it comes twice",
  { ...own, before: ownServer, stepLimitMs: 60_000 },
  async (page) => {
    server.bytesPerSecond = SLOW_BYTES_PER_SECOND;
    await models(page)
      .getByRole("button", { name: /^Download/ })
      .click();
    await expect.poll(() => progress(page), { timeout: 60_000 }).toBeGreaterThan(0.15);
    server.bytesPerSecond = SLOWER_BYTES_PER_SECOND;
    await models(page)
      .getByText(/MB\/s.*left/)
      .waitFor();
    await expectLooksRight(page, "tab-downloading");
    await models(page).getByRole("button", { name: "Pause" }).click();
    await models(page)
      .getByText(/^Paused/)
      .waitFor();
    await expectLooksRight(page, "tab-paused");
    const paused = server.sentBytes;
    expect(paused).toBeLessThan(modelBytes());
    await models(page).getByRole("button", { name: "Resume" }).click();
    await expect.poll(() => server.sentBytes, { timeout: 60_000 }).toBeGreaterThan(paused);

    await page.reload();
    await models(page)
      .getByText(/\d+ % kept in this browser/)
      .waitFor();
    server.bytesPerSecond = undefined;
    await models(page)
      .getByRole("button", { name: /^Go on: / })
      .click();
    await untilOpen(page);
    expect(server.sentBytes).toBeGreaterThanOrEqual(modelBytes() * 0.99);
    expect(server.sentBytes).toBeLessThan(modelBytes() + 2 * AGAIN_BYTES);
  },
);

inPage(
  "once loaded, the page and its model need no network",
  { ...own, before: ownServer, allowedErrors: [/ERR_CONNECTION_REFUSED/] },
  async (page) => {
    await openModel(page);
    await page.locator("html.is-offline-ready").waitFor();
    await server.close();
    await page.reload();
    await untilOpen(page);
    await setGreedy(page);
    await say(page, QUESTION);
    await untilAnswered(page);
    expect(await answers(page).first().locator(".markdown").textContent()).toBe(ANSWER);
    await goTo(page, "Attention mask");
    await page.getByText("16 tokens; 136 of 256 pairs attend").waitFor();
    await expectLooksRight(page, "tab-offline");
  },
);
