/** The shared suite over real runtimes: this Node, a newer one, Deno, Bun and workerd. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startWorkerd } from "../../src/cli/workerd.ts";
import { RUNTIME_LINES, startServer } from "./child-server.ts";
import { DEFAULT_PACK, SMALL_PACK } from "./environment.ts";
import { addTests } from "./suite.ts";

describe.each(RUNTIME_LINES)("on %s", (_, line) => {
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
