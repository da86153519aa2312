/** What all files of this folder share: a server with the page, and a browser. */
import { join } from "node:path";
import { chromium } from "playwright-core";
import type { TestProject } from "vitest/node";
import { commandLineOn, runChild } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { startServer } from "../e2e/child-server.ts";
import { DEFAULT_PACK } from "../e2e/environment.ts";
import { browserOptions } from "./browser.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** `pronk serve` of SmolLM2, whose `/` is the page. */
    readonly serverUrl: string;
    /** What `pronk page` wrote: the page whose model runs in its tab, with SmolLM2 beside it. */
    readonly pageFolder: string;
    /** Where playwright-core's connect() finds the browser. */
    readonly browserUrl: string;
  }
}

/** Room for a conversation, and for a schema's answer. */
const CONTEXT = "1024";

/** Copies 100 MB. */
const PAGE_LIMIT_MS = 60_000;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const pageFolder = join(packageRoot(), ".cache", "e2e", "page");
  const args = ["page", DEFAULT_PACK, "--out", pageFolder, "--json"];
  await runChild(commandLineOn("node"), args, { timeoutMs: PAGE_LIMIT_MS });
  const server = await startServer(commandLineOn("node"), [DEFAULT_PACK, "--ctx", CONTEXT]);
  const browser = await chromium.launchServer(await browserOptions());
  project.provide("pageFolder", pageFolder);
  project.provide("serverUrl", server.url);
  project.provide("browserUrl", browser.wsEndpoint());
  return async () => {
    await browser.close();
    await server.close();
  };
}
