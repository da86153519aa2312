import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { chanceOf } from "../../support/random-schemas.ts";
import { randomTools, validatorOf } from "../../support/random-tools.ts";
import { TOOL_TEMPLATES } from "../../support/tool-templates.ts";
import { CHAT, chat, chunks, type Json, post, postJson } from "./client.ts";
import { createToy, jinja } from "./toy-engine.ts";

/** The calls of a stream's deltas, by their index. */
function gather(events: readonly Json[]): { name: string; arguments: string }[] {
  const calls: { name: string; arguments: string }[] = [];
  for (const { choices } of events) {
    for (const { index, function: piece } of choices[0].delta.tool_calls ?? []) {
      calls[index] ??= { name: piece.name, arguments: "" };
      calls[index].arguments += piece.arguments;
    }
  }
  return calls;
}

const COUNT = 30;

describe.each(Object.entries(TOOL_TEMPLATES))("with the template %s", (_, source) => {
  // Every token is about as likely as another: what comes out is the grammar's doing.
  const template = jinja(source, "<|begin_of_text|>");
  const app = createApp({ engine: createToy({ random: true, ctx: 8192, template }).engine });

  test(`calls of ${COUNT} sets of random tools are valid, or end by length`, async () => {
    let ended = 0;
    for (let seed = 0; seed < COUNT; seed++) {
      const tools = randomTools(chanceOf(seed * 6151 + 7));
      const body = chat({
        tools,
        tool_choice: "required",
        seed,
        temperature: 1.5,
        max_tokens: 400,
      });
      const { status, json } = await postJson(app, CHAT, body);
      if (status !== 200) {
        // Some ask for what no value is.
        expect([status, json.error.message]).toEqual([
          400,
          expect.stringMatching(/no value|itself|no text/),
        ]);
        continue;
      }
      const [{ message, finish_reason }] = json.choices;
      const calls = message.tool_calls.map((call: Json) => call.function);
      const streamed = gather(await chunks(await post(app, CHAT, { ...body, stream: true })));
      expect(streamed).toEqual(calls);
      if (finish_reason === "length") calls.pop();
      else {
        expect(finish_reason).toBe("tool_calls");
        expect(calls.length).toBeGreaterThan(0);
        ended++;
      }
      for (const { name, arguments: given } of calls) {
        const { parameters } = tools.find((tool) => tool.function.name === name)!.function;
        const validate = validatorOf(parameters);
        const isValid = validate(JSON.parse(given));
        expect([isValid ? true : [parameters, given, validate.errors]]).toEqual([true]);
      }
    }
    expect(ended).toBeGreaterThan(COUNT / 3);
  });
});
