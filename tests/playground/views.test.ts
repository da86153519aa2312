/** The views beside the chat, over a server's HTTP API. */
import { text } from "node:stream/consumers";
import type { Page } from "playwright-core";
import { describe, expect } from "vitest";
import { schemaValidator } from "../support/schema-validator.ts";
import { goTo } from "./chat-page.ts";
import { inPage } from "./in-page.ts";
import { expectLooksRight } from "./looks-right.ts";

describe("the tokenizer view", () => {
  inPage("names each token of a text, as the tokenizer cuts it", {}, async (page) => {
    await goTo(page, "Tokenizer");
    await page.getByLabel("Text", { exact: true }).fill("a 🦙\n<|im_end|>");
    await page.getByText(/^\d+ tokens \(1 special\) for 14 characters/).waitFor();
    const rows = await cells(page, "Tokens of the text");
    expect(rows[0]).toEqual(["0", "a", "81", "0–1", "61", "text"]);
    expect(rows.at(-1)).toEqual(expect.arrayContaining(["<|im_end|>", "2", "5–15", "special"]));
    // The bytes of all tokens are those of the text, also where a character lies in several.
    const bytes = rows.flatMap((row) => (row[4] ?? "").split(" "));
    expect(Buffer.from(bytes.join(""), "hex").toString()).toBe("a 🦙\n<|im_end|>");
    expect(rows.map((row) => row[5]).join()).toContain("part 1 of 3 of 🦙,part 2 of 3 of 🦙");
    await expectLooksRight(page, "tokenizer");
  });

  inPage("is quick to say that a text is long, and shows what a page can", {}, async (page) => {
    await goTo(page, "Tokenizer");
    await page.getByLabel("Text", { exact: true }).fill("llama ".repeat(1000));
    await page.getByText("The first 400 of").waitFor();
    expect(await cells(page, "Tokens of the text")).toHaveLength(400);
    await page.getByRole("button", { name: "Show more" }).click();
    await page.getByText("The first 1600 of").waitFor();
    await page.getByLabel("Text", { exact: true }).fill("");
    await page.getByText(/^0 tokens/).waitFor();
  });
});

describe("the attention view", () => {
  inPage("says of each token which ones it attends to", {}, async (page) => {
    await goTo(page, "Attention mask");
    await page.getByLabel("Text", { exact: true }).fill("one two three");
    await page.getByText("3 tokens; 6 of 9 pairs attend").waitFor();
    expect(await cells(page, "Which token attends to which")).toEqual([
      ["0 one", "itself", "masked", "masked"],
      ["1 Ġtwo", "attends", "itself", "masked"],
      ["2 Ġthree", "attends", "attends", "itself"],
    ]);
  });

  inPage("slides over a text that is longer than its table", {}, async (page) => {
    await goTo(page, "Attention mask");
    await page.getByLabel("Text", { exact: true }).fill("one two three four five ".repeat(8));
    await page.getByText("Tokens 0 to 15, attending to 0 to 15").waitFor();
    const rows = page.getByLabel("Rows from token");
    await rows.focus();
    await page.keyboard.press("End");
    await page.getByText(/^Tokens 2\d to 4\d, attending to 0 to 15/).waitFor();
    const table = await cells(page, "Which token attends to which");
    expect(table).toHaveLength(16);
    expect(new Set(table.flatMap((row) => row.slice(1)))).toEqual(new Set(["attends"]));
    await expectLooksRight(page, "attention");
  });

  inPage("saves the drawing that the command writes", {}, async (page) => {
    await goTo(page, "Attention mask");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save as SVG" }).click();
    const svg = await text(await (await download).createReadStream());
    expect(svg).toMatch(/^<svg .*<title>Attention mask of smollm2-135m-instruct<\/title>/s);
  });

  inPage("has nothing to show of no text, and says so", {}, async (page) => {
    await goTo(page, "Attention mask");
    await page.getByLabel("Text", { exact: true }).fill("");
    expect(await page.getByRole("alert").textContent()).toContain("a text without tokens");
  });
});

describe("the schema view", () => {
  inPage("answers every example with JSON that its schema holds", {}, async (page) => {
    await goTo(page, "JSON schema");
    const examples = await page.getByLabel("Example").locator("option").allTextContents();
    expect(examples.length).toBeGreaterThan(2);
    for (const [index, example] of examples.entries()) {
      await page.getByLabel("Example").selectOption(example);
      await page.getByRole("button", { name: "Answer" }).click();
      await page.getByText(/^Valid JSON/).waitFor();
      const schema = JSON.parse(await page.getByLabel("Schema", { exact: true }).inputValue());
      const answer = (await page.locator("pre.answer").textContent()) ?? "";
      expect(schemaValidator(schema)(answer), `${example}: ${answer}`).toBeUndefined();
      if (index === 0) {
        expect(JSON.parse(answer)).toMatchObject({ name: "Alan Turing", born: 1912 });
        await page.getByText("Token by token").click();
        await expectLooksRight(page, "schema-answered");
      }
    }
  });

  inPage("says where a schema stops to be JSON, and asks for nothing", {}, async (page) => {
    await goTo(page, "JSON schema");
    await page.getByLabel("Schema", { exact: true }).fill('{\n  "type": object\n}');
    expect(await page.getByRole("alert").textContent()).toBe(
      "The schema is not JSON: line 2, column 11: expected a value, found object",
    );
    expect(await page.getByRole("button", { name: "Answer" }).isDisabled()).toBe(true);
    expect(await page.getByLabel("Example").inputValue()).toBe("-1");
    await expectLooksRight(page, "schema-wrong");
  });

  inPage(
    "says what of a schema cannot be made sure of",
    { expectedErrors: [/status of 400/] },
    async (page) => {
      await goTo(page, "JSON schema");
      const schema = { type: "string", pattern: "(?=a)b" };
      await page.getByLabel("Schema", { exact: true }).fill(JSON.stringify(schema));
      await page.getByRole("button", { name: "Answer" }).click();
      expect(await page.getByRole("alert").textContent()).toMatch(/pattern/);
      expect(await page.getByLabel("Schema", { exact: true }).getAttribute("aria-invalid")).toBe(
        "true",
      );
    },
  );

  inPage("says that an answer which was cut off is no JSON", {}, async (page) => {
    await goTo(page, "JSON schema");
    const schema = { type: "array", items: { type: "integer" }, minItems: 500 };
    await page.getByLabel("Schema", { exact: true }).fill(JSON.stringify(schema));
    await page.getByRole("button", { name: "Answer" }).click();
    await page.getByText("Cut off after 256 tokens.").waitFor();
    expect(await page.getByText("Valid JSON").count()).toBe(0);
    await page.getByRole("button", { name: "Answer" }).click();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("Stopped: what there is is no whole JSON.").waitFor();
  });
});

describe("the tools view", () => {
  inPage(
    "shows a call, runs it on a click, and answers with what it returned",
    {},
    async (page) => {
      await goTo(page, "Tools");
      await page.getByRole("button", { name: "Ask" }).click();
      const run = page.getByRole("button", { name: "Run calculate" });
      await run.waitFor();
      expect(await steps(page)).toEqual([
        "You: What is 12 * 34?",
        'The model calls: calculate({ "expression": "12 * 34" })',
      ]);
      await expectLooksRight(page, "tools-call");
      await run.click();
      await page.getByText("The model answers").waitFor();
      expect((await steps(page)).slice(2)).toEqual([
        "The function returns: 12 * 34 = 408",
        expect.stringMatching(/^The model answers: .*408/),
      ]);
      await expectLooksRight(page, "tools-answered");
    },
  );

  inPage("runs calls by itself where it is told to", {}, async (page) => {
    await goTo(page, "Tools");
    await page.getByRole("button", { name: "What time is it in Tokyo?" }).click();
    await page.getByLabel("Run calls without asking me").check();
    await page.getByRole("button", { name: "Ask" }).click();
    await page.getByText("The model answers").waitFor();
    const year = new Date().getFullYear();
    expect((await steps(page))[1]).toBe('The model calls: current_time({ "city": "Tokyo" })');
    expect((await steps(page))[2]).toMatch(new RegExp(`^The function returns: .*${year} at`));
  });

  inPage("lets the model decide, where it may", {}, async (page) => {
    await goTo(page, "Tools");
    const asked = page.waitForRequest("**/v1/chat/completions");
    await page.getByLabel("Calls", { exact: true }).selectOption("auto");
    await page.getByRole("button", { name: "Ask" }).click();
    expect((await asked).postDataJSON().tool_choice).toBe("auto");
    await page.getByText(/The model (answers|calls)/).waitFor();
  });
});

inPage("what is typed into a view is there again when the view is", {}, async (page) => {
  await goTo(page, "Tokenizer");
  await page.getByLabel("Text", { exact: true }).fill("kept");
  await goTo(page, "Tools");
  await goTo(page, "Tokenizer");
  expect(await page.getByLabel("Text", { exact: true }).inputValue()).toBe("kept");
  await expect.poll(() => page.evaluate("JSON.stringify(localStorage)")).toContain("kept");
  await page.reload();
  expect(await page.getByLabel("Text", { exact: true }).inputValue()).toBe("kept");
});

/** The body of a table, by the name of its region. */
async function cells(page: Page, region: string): Promise<string[][]> {
  await page.getByRole("region", { name: region }).waitFor();
  const rows = await page.getByRole("region", { name: region }).locator("tbody tr").all();
  return Promise.all(rows.map((row) => row.locator("th, td").allTextContents()));
}

/** What has happened so far, a line each. */
async function steps(page: Page): Promise<string[]> {
  const items = await page.getByRole("list", { name: "What happened" }).locator("> li").all();
  return Promise.all(
    items.map(async (item) => {
      const title = await item.getByRole("heading").textContent();
      const said = await item.locator("p, pre").allTextContents();
      return `${title}: ${said.join(" ")}`;
    }),
  );
}
