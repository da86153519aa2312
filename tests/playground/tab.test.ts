/** The page whose model runs in its tab: SmolLM2 in a Web Worker, as any host of files gives it away. */
import { afterAll, beforeAll, expect, inject } from "vitest";
import { QUESTION } from "../e2e/environment.ts";
import { answers, goTo, say, setGreedy, untilAnswered } from "./chat-page.ts";
import { inPage } from "./in-page.ts";
import { expectLooksRight } from "./looks-right.ts";
import { type PageServer, servePage } from "./serve-page.ts";
import { facts, models, openModel } from "./tab-page.ts";

const ANSWER = "A week is approximately 7 days.";

let isolated: PageServer;
let plain: PageServer;
beforeAll(async () => {
  isolated = await servePage(inject("pageFolder"));
  plain = await servePage(inject("pageFolder"), { isolated: false });
});
afterAll(() => Promise.all([isolated?.close(), plain?.close()]));

inPage(
  "a model that is downloaded answers in the tab, and is stopped there",
  { url: () => isolated.url },
  async (page) => {
    await models(page)
      .getByRole("button", { name: /^Download/ })
      .waitFor();
    await expectLooksRight(page, "tab-no-model");
    await openModel(page);
    expect(await page.evaluate("crossOriginIsolated")).toBe(true);
    expect(await facts(page)).toMatchObject({
      Model: expect.stringContaining("smollm2"),
      Backend: expect.stringMatching(/^wasm/),
    });
    await expectLooksRight(page, "tab-ready");
    await setGreedy(page);
    await say(page, QUESTION);
    await untilAnswered(page);
    const answer = answers(page).first();
    expect(await answer.locator(".markdown").textContent()).toBe(ANSWER);
    expect(await answer.locator(".figures").textContent()).toMatch(/tokens\/s/);

    await say(page, "Write a long story about a llama that crosses the Andes.");
    const text = answers(page).nth(1).locator(".markdown");
    await expect.poll(async () => (await text.textContent())?.length).toBeGreaterThan(80);
    await page.getByRole("button", { name: "Stop" }).click();
    await answers(page).nth(1).getByText("Stopped.").waitFor();
    // What was stopped leaves the worker free at once.
    await say(page, QUESTION);
    await untilAnswered(page);
    expect(await answers(page).nth(2).locator(".markdown").textContent()).not.toBe("");
    await expectLooksRight(page, "tab-answered");
  },
);

inPage(
  "every view works on the model in the tab, also where the host sends no headers",
  { url: () => plain.url },
  async (page) => {
    await openModel(page);
    // The service worker adds them.
    expect(await page.evaluate("crossOriginIsolated")).toBe(true);

    await goTo(page, "Tokenizer");
    await page.getByText(/^\d+ tokens \(2 special\)/).waitFor();
    await goTo(page, "Attention mask");
    await page.getByText("16 tokens; 136 of 256 pairs attend").waitFor();
    await goTo(page, "JSON schema");
    await page.getByRole("button", { name: "Answer" }).click();
    await page.getByText("Valid JSON: an object of 4 members").waitFor();
    const answer = JSON.parse((await page.locator("pre.answer").textContent()) ?? "");
    expect(answer).toMatchObject({ name: "Alan Turing", born: 1912 });
    await page.getByText("Token by token").click();
    await page.getByRole("listbox").getByRole("option").first().waitFor();
    await page
      .getByLabel("Schema", { exact: true })
      .fill('{"type": "string", "pattern": "(?=a)b"}');
    await page.getByRole("button", { name: "Answer" }).click();
    expect(await page.getByRole("alert").textContent()).toMatch(/pattern/);
    await goTo(page, "Tools");
    await page.getByLabel("Run calls without asking me").check();
    await page.getByRole("button", { name: "Ask" }).click();
    await page.getByText("The model answers").waitFor();
    await page.getByText("12 * 34 = 408").first().waitFor();
  },
);

inPage(
  "with WebGPU the model says the same, and the page what computes it",
  { url: () => isolated.url, gpu: true, timeoutMs: 700_000, stepLimitMs: 600_000 },
  async (page) => {
    await page.getByLabel("Computed by").first().selectOption("webgpu");
    await openModel(page);
    expect((await facts(page)).Backend).toMatch(/^webgpu/);
    // A driver for CPUs takes up to a second for each token, also of the prompt, and longer to compile.
    await setGreedy(page, 2);
    await say(page, QUESTION);
    await untilAnswered(page);
    expect(await answers(page).first().locator(".markdown").textContent()).toBe("A week");
  },
);
