/** What a person does with models on the page whose model runs in its tab. */
import type { Locator, Page } from "playwright-core";
import { withSettings } from "./chat-page.ts";

/** The first place where the page has its models: in the settings they are once more. */
export function models(page: Page): Locator {
  return page.getByRole("region", { name: "Models" }).first();
}

/** Downloads the model that is beside the page, and waits until it runs. */
export async function openModel(page: Page): Promise<void> {
  await models(page)
    .getByRole("button", { name: /^Download/ })
    .click();
  await untilOpen(page);
}

export async function untilOpen(page: Page): Promise<void> {
  await page.getByRole("heading", { name: /^Talk to / }).waitFor();
}

/** What the settings say of the model: `Backend` → `wasm`. */
export async function facts(page: Page): Promise<Record<string, string>> {
  const entries: [string, string][] = [];
  await withSettings(page, async () => {
    for (const row of await page.locator("dl.facts > div").all()) {
      const name = await row.locator("dt").textContent();
      entries.push([name ?? "", (await row.locator("dd").textContent()) ?? ""]);
    }
  });
  return Object.fromEntries(entries);
}

/** Drops files of this machine onto the middle of the page, as a hand does. */
export async function drop(page: Page, ...files: string[]): Promise<void> {
  const { width, height } = page.viewportSize() ?? { width: 0, height: 0 };
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    await session.send("Input.dispatchDragEvent", { type, x: width / 2, y: height / 2, data });
  }
  await session.detach();
}
