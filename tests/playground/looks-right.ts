/**
 * What has to hold of every state of the page: axe finds nothing of WCAG 2.2 AA in light and dark, wide and
 * narrow, and nothing has to be scrolled sideways, down to 320 pixels. Leaves screenshots of all four.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";

/** Of the standard, and of its newest edition. */
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** A desktop's and a phone's. */
const WIDTHS = [1280, 360];

/** WCAG 1.4.10: what a page of 1,280 pixels is at 400 %. */
const NARROWEST = 320;

const HEIGHT = 800;

/** CI keeps what lies there. */
export const SCREENSHOTS: string = join(packageRoot(), ".cache", "ci", "screenshots");

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Violation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly {
    readonly target: readonly string[];
    readonly failureSummary: string;
  }[];
}

/** @param state its name, which the screenshots have: `chat-answered`. */
export async function expectLooksRight(page: Page, state: string): Promise<void> {
  const size = page.viewportSize() ?? { width: 1280, height: HEIGHT };
  const found: string[] = [];
  mkdirSync(SCREENSHOTS, { recursive: true });
  for (const width of WIDTHS) {
    await resize(page, { width, height: HEIGHT });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(SCREENSHOTS, `${state}-${colorScheme}-${width}.png`) });
      const violations = await violationsOf(page);
      found.push(...violations.map((text) => `${colorScheme}, ${width}: ${text}`));
    }
    found.push(...(await overflowing(page, width)));
  }
  found.push(...(await overflowing(page, NARROWEST)));
  await resize(page, size);
  await page.emulateMedia({ colorScheme: "light" });
  expect(found, state).toEqual([]);
}

/** Until the page has learnt of it: what listens to media queries hears of them before a frame is drawn. */
async function resize(page: Page, size: { width: number; height: number }): Promise<void> {
  await page.setViewportSize(size);
  await page.evaluate(
    () => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))),
  );
}

async function overflowing(page: Page, width: number): Promise<string[]> {
  await resize(page, { width, height: HEIGHT });
  const wide: string[] = await page.evaluate(OVERFLOWING);
  return wide.map((text) => `at ${width} pixels: ${text}`);
}

/**
 * What could be scrolled sideways, or is cut off, and is none of the things that are made for it: tables and
 * pictures in their regions, and code.
 */
const OVERFLOWING = `[document.scrollingElement, ...document.body.querySelectorAll("*")]
  .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 1)
  .filter((element) => element === document.scrollingElement ||
    getComputedStyle(element).overflowX !== "visible")
  .filter((element) => !element.closest(".scrolling, pre, textarea, select, input, .model-name"))
  .map((element) => element.scrollWidth + " in " + element.clientWidth + ": " +
    element.outerHTML.slice(0, 120))`;

async function violationsOf(page: Page): Promise<string[]> {
  if (!(await page.evaluate("typeof axe === 'object'"))) await page.evaluate(axe);
  const { violations } = await page.evaluate<{ violations: Violation[] }>(
    `axe.run({ runOnly: ${JSON.stringify(TAGS)}, resultTypes: ["violations"] })`,
  );
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")}: ${node.failureSummary}`),
  );
}
