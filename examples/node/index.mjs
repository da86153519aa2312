// A script without a server: a streamed answer, structured output, vectors. node index.mjs [QUESTION]
import { createEngine } from "pronk";
import { createLlm } from "pronk/server";

const engine = await createEngine(process.env.MODEL ?? "smollm2-135m-instruct", { ctx: 1024 });
const llm = createLlm({ engine });
const messages = [{ role: "user", content: process.argv[2] ?? "How many days are in a week?" }];

for await (const { text, answer } of llm.stream({ messages, temperature: 0, max_tokens: 200 })) {
  process.stdout.write(text);
  if (answer) console.log(`\n${answer.usage.completion_tokens} tokens`);
}

// The answer cannot but be valid, however small the model is.
const schema = {
  type: "object",
  properties: { days: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["days"],
  additionalProperties: false,
};
const { text } = await llm.generate({
  messages,
  temperature: 0,
  response_format: { type: "json_schema", json_schema: { name: "week", schema } },
});
console.log(JSON.parse(text));

const [vector] = await llm.embed(["a week"]);
console.log(`a vector of ${vector.length}`);
await engine.dispose();
