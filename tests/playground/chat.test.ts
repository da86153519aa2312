/** The chat of the page that a server has at `/`: SmolLM2 behind the HTTP API. */
import { expect } from "vitest";
import { QUESTION } from "../e2e/environment.ts";
import { answers, say, setGreedy, untilAnswered, withSettings } from "./chat-page.ts";
import { inPage } from "./in-page.ts";
import { expectLooksRight } from "./looks-right.ts";

const ANSWER = "A week is approximately 7 days.";

/** Takes the model some seconds. */
const LONG = "Write a long story about a llama that crosses the Andes.";

inPage("an empty page says what to try, and one click tries it", {}, async (page) => {
  await page.getByRole("heading", { name: "Talk to smollm2-135m-instruct" }).waitFor();
  await page.getByText("smollm2-135m-instruct").first().waitFor();
  await expectLooksRight(page, "chat-empty");
  await page.getByRole("button", { name: /^Code/ }).click();
  await untilAnswered(page);
  expect(await answers(page).first().locator("pre code").first().textContent()).toContain("def ");
  await expectLooksRight(page, "chat-code");
});

inPage("an answer is the model's, with what it cost", {}, async (page) => {
  await setGreedy(page);
  await say(page, QUESTION);
  await untilAnswered(page);
  const answer = answers(page).first();
  expect(await answer.locator(".markdown").textContent()).toBe(ANSWER);
  expect(await answer.locator(".figures").textContent()).toMatch(
    /tokens\/s.*First token.*9 tokens/,
  );
  await expectLooksRight(page, "chat-answered");
});

inPage("an answer grows while it comes, and ends when it is stopped", {}, async (page) => {
  await setGreedy(page);
  await say(page, LONG);
  const text = answers(page).first().locator(".markdown");
  const stop = page.getByRole("button", { name: "Stop" });
  const early = await text.textContent();
  await expect.poll(async () => (await text.textContent())?.length).toBeGreaterThan(80);
  expect(early?.length ?? 0).toBeLessThan(80);
  expect(await stop.isVisible()).toBe(true);
  await expectLooksRight(page, "chat-running");
  await stop.click();
  await untilAnswered(page);
  const stopped = await text.textContent();
  await answers(page).first().getByText("Stopped.").waitFor();
  await expect.poll(() => runningRequests(page)).toBe(0);
  expect(await text.textContent()).toBe(stopped);
  await expectLooksRight(page, "chat-stopped");
});

inPage("an answer is tried again, and both are there", {}, async (page) => {
  await withSettings(page, async () => {
    await page.getByLabel("Temperature").fill("1.5");
    await page.getByLabel("Most tokens").fill("24");
  });
  await say(page, "Say a sentence about the sea.");
  await untilAnswered(page);
  const first = await answers(page).first().locator(".markdown").textContent();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("2 of 2").waitFor();
  await untilAnswered(page);
  const second = await answers(page).first().locator(".markdown").textContent();
  expect(second).not.toBe(first);
  await page.getByRole("button", { name: "Earlier version of this message" }).click();
  expect(await answers(page).first().locator(".markdown").textContent()).toBe(first);
  await expectLooksRight(page, "chat-versions");
});

inPage("a message is changed, and the conversation goes on from there", {}, async (page) => {
  await setGreedy(page);
  await say(page, "How many days are in a year?");
  await untilAnswered(page);
  await page.getByRole("button", { name: "Edit" }).click();
  const field = page.getByLabel("Your message, changed");
  expect(await field.inputValue()).toBe("How many days are in a year?");
  await field.fill(QUESTION);
  await expectLooksRight(page, "chat-edit");
  await page.getByRole("button", { name: "Send changed" }).click();
  await untilAnswered(page);
  expect(await answers(page).first().locator(".markdown").textContent()).toBe(ANSWER);
  expect(await answers(page).count()).toBe(1);
});

inPage("a conversation and what is typed are there again after a reload", {}, async (page) => {
  await setGreedy(page);
  await say(page, QUESTION);
  await untilAnswered(page);
  await page.getByRole("textbox", { name: "Message", exact: true }).fill("And in a month?");
  await page.reload();
  await answers(page).getByText(ANSWER).waitFor();
  expect(await page.getByRole("textbox", { name: "Message", exact: true }).inputValue()).toBe(
    "And in a month?",
  );
});

inPage("a system prompt is what the model is told first", {}, async (page) => {
  await setGreedy(page);
  await withSettings(page, () =>
    page.getByLabel("System prompt").fill("You are a pirate. Say arr."),
  );
  const asked = page.waitForRequest("**/v1/chat/completions");
  await say(page, QUESTION);
  expect((await asked).postDataJSON()).toMatchObject({
    messages: [
      { role: "system", content: "You are a pirate. Say arr." },
      { role: "user", content: QUESTION },
    ],
    temperature: 0,
    stream: true,
  });
  await untilAnswered(page);
});

inPage(
  "a conversation longer than the context is refused in the server's words, with what to do",
  { expectedErrors: [/status of 400/] },
  async (page) => {
    await say(page, "llama ".repeat(1500));
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.textContent()).toMatch(/longer than the context.*1024/s);
    await expectLooksRight(page, "chat-too-long");
  },
);

inPage(
  "a server that is gone is said to be, and the message can be sent again",
  { expectedErrors: [/ERR_FAILED/] },
  async (page) => {
    await setGreedy(page);
    await page.route("**/v1/chat/completions", (route) => route.abort());
    await say(page, QUESTION);
    await page.getByRole("alert").getByText("No answer.").waitFor();
    await expectLooksRight(page, "chat-no-server");
    await page.unroute("**/v1/chat/completions");
    await page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
    await answers(page).getByText(ANSWER).waitFor();
  },
);

inPage("keys alone send a message, stop its answer and send another", {}, async (page) => {
  await page.getByRole("heading", { name: /^Talk to/ }).waitFor();
  await page.keyboard.press("Tab");
  expect(await page.evaluate("document.activeElement.textContent")).toMatch(/^Skip to the message/);
  await page.keyboard.press("Enter");
  await page.keyboard.type(LONG);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Stop" }).waitFor();
  await page.keyboard.press("Escape");
  await answers(page).first().getByText("Stopped.").waitFor();
  await page.keyboard.type(QUESTION);
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("Say it.");
  await page.keyboard.press("Enter");
  await untilAnswered(page);
  expect(await page.getByText(`${QUESTION}\nSay it.`).count()).toBe(1);
  expect(await answers(page).count()).toBe(2);
});

/** What the server says that it runs. */
async function runningRequests(page: import("playwright-core").Page): Promise<number> {
  const metrics = await (await page.request.get(new URL("/metrics", page.url()).href)).text();
  return Number(/^pronk_slots_busy(?:\{[^}]*\})? (\d+)/m.exec(metrics)?.[1]);
}
