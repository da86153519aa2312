/**
 * A test with a page of its own, in the browser that all files share. Whatever else it is about, it
 * fails when the page writes an error to the console, throws, breaks its own Content-Security-Policy,
 * or asks another host for anything.
 */
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, expect, inject, test } from "vitest";
import { browserOptions } from "./browser.ts";
import { SCREENSHOTS } from "./looks-right.ts";

export interface PageOptions {
  /** Known when the test runs. Default: `/` of the shared server. */
  readonly url?: () => string;
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "light" | "dark";
  /** A browser of its own, with WebGPU by Chromium's driver for CPUs. */
  readonly gpu?: boolean;
  /** What the page needs to be there, such as a host of its own. */
  readonly before?: () => Promise<void>;
  /** Console errors that the test is about. Each has to come. */
  readonly expectedErrors?: readonly RegExp[];
  /** Those that may come: browsers write a line for each request that fails. */
  readonly allowedErrors?: readonly RegExp[];
  readonly timeoutMs?: number;
  /** What one step may take, where some take long. */
  readonly stepLimitMs?: number;
}

/** Of one step; a test's own limit is longer. */
const STEP_LIMIT_MS = 20_000;

const WIDE = { width: 1280, height: 800 };

let shared: Promise<Browser> | undefined;
afterAll(async () => {
  await (await shared)?.close();
  shared = undefined;
});

export function inPage(
  title: string,
  options: PageOptions,
  body: (page: Page) => Promise<void>,
): void {
  const limit = options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs };
  test(title, limit, async () => {
    shared ??= chromium.connect(inject("browserUrl"));
    const own = options.gpu
      ? await chromium.launch(await browserOptions({ gpu: true }))
      : undefined;
    const browser = own ?? (await shared);
    await options.before?.();
    const { width = WIDE.width, height = WIDE.height, colorScheme = "light" } = options;
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme,
      reducedMotion: "reduce",
    });
    const page = await context.newPage();
    try {
      context.setDefaultTimeout(options.stepLimitMs ?? STEP_LIMIT_MS);
      const url = options.url?.() ?? inject("serverUrl");
      const problems = watch(page, new URL(url).origin);
      await page.goto(url);
      await body(page);
      const { expectedErrors = [], allowedErrors = [] } = options;
      expect(await problems(expectedErrors, allowedErrors)).toEqual([]);
    } catch (error) {
      const name = `failed-${title.replace(/\W+/g, "-").slice(0, 80)}.png`;
      await page.screenshot({ path: join(SCREENSHOTS, name) }).catch(() => {});
      throw error;
    } finally {
      await context.close();
      await own?.close();
    }
  });
}

type Patterns = readonly RegExp[];

/** Collects what no page may do. @returns all of it but what may come, and what should have and did not. */
function watch(
  page: Page,
  origin: string,
): (expected: Patterns, allowed: Patterns) => Promise<string[]> {
  const seen: string[] = [];
  const foreign: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") {
      seen.push(`console ${message.type()}: ${message.text()} (${message.location().url})`);
    }
  });
  page.on("pageerror", (error) => seen.push(`page error: ${error.stack ?? error.message}`));
  page.on("crash", () => seen.push("the page crashed"));
  // Of workers and the service worker too.
  page.context().on("request", (request) => {
    const url = new URL(request.url());
    const isOwn = url.origin === origin || url.protocol === "blob:" || url.protocol === "data:";
    if (!isOwn) foreign.push(`request to another host: ${request.url()}`);
  });
  const violations: string[] = [];
  const watching = page
    .exposeFunction("reportViolation", (text: string) => void violations.push(text))
    .then(() =>
      page.addInitScript(`addEventListener("securitypolicyviolation", (event) =>
        reportViolation("policy violation: " + event.violatedDirective + " " + event.blockedURI));`),
    );
  watching.catch(() => {});
  return async (expected, allowed) => {
    await watching;
    const known = [...expected, ...allowed];
    const unexpected = seen.filter((text) => !known.some((pattern) => pattern.test(text)));
    const missing = expected.filter((pattern) => !seen.some((text) => pattern.test(text)));
    return [
      ...unexpected,
      ...foreign,
      ...violations,
      ...missing.map((pattern) => `expected and not seen: ${pattern}`),
    ];
  };
}
