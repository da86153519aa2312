// The `openai` package: node openai.mjs, with `npx pronk serve` running.
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const { PRONK_URL = "http://127.0.0.1:8787", PRONK_KEY = "none" } = process.env;
const model = process.env.PRONK_MODEL ?? "smollm2-135m-instruct";
const client = new OpenAI({ baseURL: `${PRONK_URL}/v1`, apiKey: PRONK_KEY });
const messages = [{ role: "user", content: "How many days are in a week?" }];

const stream = await client.chat.completions.create({
  model,
  messages,
  temperature: 0,
  stream: true,
});
for await (const { choices } of stream) process.stdout.write(choices[0]?.delta.content ?? "");

// The answer cannot but be valid, however small the model is.
const Week = z.object({ days: z.number().int().min(1).max(9) });
const { choices } = await client.chat.completions.parse({
  model,
  messages,
  response_format: zodResponseFormat(Week, "week"),
});
console.log("\n", choices[0].message.parsed);

// `required` makes small models call; with `auto` they seldom do by themselves.
const weather = zodFunction({
  name: "weather",
  parameters: z.object({ city: z.enum(["Paris", "Rome"]) }),
});
const called = await client.chat.completions.parse({
  model,
  messages: [{ role: "user", content: "How is the weather in Paris?" }],
  tools: [weather],
  tool_choice: "required",
  parallel_tool_calls: false,
});
console.log(called.choices[0].message.tool_calls[0].function);

const { data } = await client.embeddings.create({ model, input: ["a week", "seven days"] });
console.log(`${data.length} vectors of ${data[0].embedding.length}`);
