// LangChain.js: npm install @langchain/openai @langchain/core, then node langchain.mjs,
// with `npx pronk serve` running.
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";

const { PRONK_URL = "http://127.0.0.1:8787", PRONK_KEY = "none" } = process.env;
const name = process.env.PRONK_MODEL ?? "smollm2-135m-instruct";
const configuration = { baseURL: `${PRONK_URL}/v1` };
const model = new ChatOpenAI({ model: name, apiKey: PRONK_KEY, configuration, temperature: 0 });

for await (const { content } of await model.stream("How many days are in a week?")) {
  process.stdout.write(content);
}

const Week = z.object({ days: z.number().int().min(1).max(9) });
const structured = model.withStructuredOutput(Week, { method: "jsonSchema" });
console.log("\n", await structured.invoke("How many days are in a week?"));

const weather = {
  name: "weather",
  description: "The weather of a city",
  schema: z.object({ city: z.enum(["Paris", "Rome"]) }),
};
const bound = model.bindTools([weather], { tool_choice: "weather", parallel_tool_calls: false });
const { tool_calls } = await bound.invoke("How is the weather in Paris?");
console.log(tool_calls);

const embeddings = new OpenAIEmbeddings({ model: name, apiKey: PRONK_KEY, configuration });
console.log(`a vector of ${(await embeddings.embedQuery("seven days")).length}`);
