/** The page of a server that wants an API key. */
import { afterAll, beforeAll, expect } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { startServer } from "../e2e/child-server.ts";
import { DEFAULT_PACK, QUESTION } from "../e2e/environment.ts";
import { answers, say, setGreedy, untilAnswered } from "./chat-page.ts";
import { inPage } from "./in-page.ts";
import { expectLooksRight } from "./looks-right.ts";

const KEY = "a-secret-of-this-test";

let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  const options = [DEFAULT_PACK, "--ctx", "512", "--slots", "1"];
  server = await startServer(commandLineOn("node"), options, { PRONK_API_KEYS: KEY });
});
afterAll(() => server?.close());

const REFUSED = /status of 401/;

inPage(
  "a key is asked for, kept for the tab alone, and forgotten when it is told to be",
  { url: () => server.url, expectedErrors: [REFUSED] },
  async (page) => {
    const field = page.getByLabel("This server wants an API key");
    await field.waitFor();
    await expectLooksRight(page, "key-wanted");
    await field.fill("not this one");
    await field.press("Enter");
    await page.getByText("The server knows no such key.").waitFor();
    await expectLooksRight(page, "key-wrong");
    await field.fill(KEY);
    await page.getByRole("button", { name: "Use the key" }).click();
    await page.getByRole("heading", { name: /^Talk to/ }).waitFor();
    await setGreedy(page);
    await say(page, QUESTION);
    await untilAnswered(page);
    expect(await answers(page).first().locator(".markdown").textContent()).toContain("7 days");

    await page.reload();
    await answers(page).first().locator(".markdown").waitFor();
    await expect.poll(() => page.getByText("smollm2-135m-instruct").count()).toBeGreaterThan(1);
    expect(await page.evaluate("JSON.stringify(localStorage)")).not.toContain(KEY);
    expect(await page.evaluate("JSON.stringify(sessionStorage)")).toContain(KEY);

    await page.getByRole("button", { name: "Forget the API key" }).click();
    await field.waitFor();
    expect(await page.evaluate("JSON.stringify(sessionStorage)")).not.toContain(KEY);
    // What was said is still there.
    expect(await answers(page).count()).toBe(1);
  },
);
