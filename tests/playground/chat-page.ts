/** What a person does on the page, by the names that it has for everybody. */
import type { Locator, Page } from "playwright-core";

/** The answers of the conversation, the oldest first. */
export function answers(page: Page): Locator {
  return page
    .getByRole("list", { name: "Messages" })
    .getByRole("listitem")
    .filter({
      has: page.getByRole("heading", { name: "Answer" }),
    });
}

/** Types a message and sends it, from the page's own field. */
export async function say(page: Page, text: string): Promise<void> {
  await page.getByRole("textbox", { name: "Message", exact: true }).fill(text);
  await page.getByRole("button", { name: "Send", exact: true }).click();
}

/** Waits until the answer that runs has come to its end. */
export async function untilAnswered(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
}

/** The same answer each time, the model's own; and no more of it than a test needs. */
export async function setGreedy(page: Page, tokens?: number): Promise<void> {
  await withSettings(page, async () => {
    await page.getByLabel("Temperature").fill("0");
    await page.getByLabel("Repetition penalty").fill("1");
    await page.getByLabel("Most tokens").fill(tokens === undefined ? "" : String(tokens));
  });
}

/** Opens the settings where they are closed, and leaves them as they were. */
export async function withSettings(page: Page, change: () => Promise<void>): Promise<void> {
  const button = page.locator("#settings-button");
  const wasOpen = (await button.getAttribute("aria-expanded")) === "true";
  if (!wasOpen) await button.click();
  await change();
  if (!wasOpen) await page.getByRole("button", { name: "Close", exact: true }).click();
}

/** Goes to a view by its name in the head; the first time its code is fetched. */
export async function goTo(page: Page, view: string): Promise<void> {
  await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: view }).click();
  if (view !== "Chat") await page.getByRole("heading", { name: view, exact: true }).waitFor();
}
