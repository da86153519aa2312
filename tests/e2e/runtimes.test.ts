/** The shared suite over real runtimes: this Node, a newer one, Deno, Bun and workerd. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CommandLine, commandLineOn } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { startWorkerd } from "../../src/cli/workerd.ts";
import { startServer } from "./child-server.ts";
import { DEFAULT_PACK, SMALL_PACK } from "./environment.ts";
import { addTests } from "./suite.ts";

const thisNode: CommandLine = {
  program: process.execPath,
  args: [join(packageRoot(), "dist", "src", "cli", "main.js")],
};

describe.each<[name: string, line: () => CommandLine]>([
  [`node ${process.versions.node}`, () => thisNode],
  ["a newer node", () => commandLineOn("node")],
  ["deno", () => commandLineOn("deno")],
  ["bun", () => commandLineOn("bun")],
])("on %s", (_, line) => {
  let server: Awaited<ReturnType<typeof startServer>>;
  beforeAll(async () => {
    server = await startServer(line(), [DEFAULT_PACK, "--slots", "2"]);
  });
  afterAll(() => server?.close());
  addTests({ url: () => server.url, slots: 2 });

  test("the page at / comes with its script", async () => {
    const page = await fetch(server.url);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    const [, source] = /<script type="module" src="([^"]+)"/.exec(await page.text()) ?? [];
    const script = await fetch(new URL(source, server.url));
    expect(script.headers.get("content-type")).toContain("javascript");
    expect((await script.text()).length).toBeGreaterThan(10_000);
  });
});

describe("on workerd, from R2", () => {
  let workerd: Awaited<ReturnType<typeof startWorkerd>>;
  beforeAll(async () => {
    workerd = await startWorkerd("cloudflare", SMALL_PACK);
  });
  afterAll(() => workerd?.close());
  addTests({ url: () => workerd.url, slots: 1 });
});
