/** What a model would have said instead: of each token of an answer, by mouse, by keys, and for ears. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { QUESTION } from "../e2e/environment.ts";
import { answers, say, setGreedy, untilAnswered, withSettings } from "./chat-page.ts";
import { inPage } from "./in-page.ts";
import { expectLooksRight } from "./looks-right.ts";

/** Asks for an answer with probabilities, and opens the view of its tokens. */
async function answerByTokens(page: Page, question = QUESTION): Promise<void> {
  await setGreedy(page, 60);
  await withSettings(page, () => page.getByLabel("Keep each token’s probability").check());
  await say(page, question);
  await untilAnswered(page);
  await answers(page).first().getByRole("button", { name: "Token by token" }).click();
  await page.getByRole("listbox", { name: "Tokens of the answer" }).waitFor();
}

/** The panel's rows: what could have been said, and how likely it was. */
async function alternatives(page: Page): Promise<{ token: string; percent: number }[]> {
  const rows = await page.locator(".token-alternatives tbody tr").all();
  return Promise.all(
    rows.map(async (row) => ({
      token: ((await row.locator("th").textContent()) ?? "").trim(),
      percent: Number.parseFloat(
        ((await row.locator("td").textContent()) ?? "").replace(/[<>]/, ""),
      ),
    })),
  );
}

inPage("a token under the mouse is told with its alternatives", {}, async (page) => {
  await answerByTokens(page);
  const tokens = page.getByRole("listbox", { name: "Tokens of the answer" }).getByRole("option");
  expect((await tokens.allTextContents()).join("")).toBe("A week is approximately 7 days.");
  await tokens.nth(3).hover();
  expect(await page.locator(".token-panel-head").textContent()).toMatch(
    /^␣approximately \d+\.\d % token 4 of \d/,
  );
  const rows = await alternatives(page);
  expect(rows[0]?.token).toBe("␣approximately chosen");
  expect(rows.at(-1)?.token).toBe("all others");
  expect(rows.length).toBeGreaterThan(4);
  const likely = rows.slice(0, -1).map(({ percent }) => percent);
  expect([...likely].sort((a, b) => b - a)).toEqual(likely);
  expect(rows.reduce((sum, { percent }) => sum + percent, 0)).toBeCloseTo(100, 0);
  // What was pressed stays when the mouse has gone: fingers do not hover.
  await tokens.nth(1).click();
  await page.mouse.move(1, 1);
  expect(await page.locator(".token-panel-head").textContent()).toMatch(/token 2 of/);
  await expectLooksRight(page, "token-view");
});

inPage("arrow keys go from token to token, and each says what it is", {}, async (page) => {
  await answerByTokens(page);
  const focused = (): Promise<string> =>
    page.evaluate("document.activeElement.getAttribute('aria-label')");
  await page.getByRole("button", { name: "Token by token" }).focus();
  await page.keyboard.press("Shift+Tab");
  expect(await focused()).toMatch(/^A, \d+\.\d %; instead of /);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  expect(await focused()).toMatch(/^space is, /);
  expect(await page.locator(".token-panel-head").textContent()).toMatch(/^␣is .* token 3 of/);
  await page.keyboard.press("End");
  expect(await focused()).toMatch(/^\., /);
  await page.keyboard.press("ArrowRight");
  expect(await focused()).toMatch(/^\., /);
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowLeft");
  expect(await focused()).toMatch(/^A, /);
  // One stop of the tab key, whichever token was looked at last.
  await page.keyboard.press("Tab");
  await page.keyboard.press("Shift+Tab");
  expect(await focused()).toMatch(/^A, /);
});

inPage("arrow keys up and down follow the lines", { width: 360 }, async (page) => {
  await answerByTokens(page, "Say three sentences about the sea.");
  const options = page.getByRole("option");
  await options.first().focus();
  const place = async () => (await page.locator(":focus").boundingBox()) ?? { x: 0, y: 0 };
  const first = await place();
  await page.keyboard.press("ArrowDown");
  const below = await place();
  expect(below.y).toBeGreaterThan(first.y);
  expect(Math.abs(below.x - first.x)).toBeLessThan(60);
  await page.keyboard.press("ArrowUp");
  expect((await place()).y).toBe(first.y);
});

inPage("answers without probabilities have no such view", {}, async (page) => {
  await setGreedy(page);
  await say(page, QUESTION);
  await untilAnswered(page);
  expect(await page.getByRole("button", { name: "Token by token" }).count()).toBe(0);
});
