// Ollama's package: node ollama.mjs, with `npx pronk serve` running.
import { Ollama } from "ollama";

const { PRONK_URL = "http://127.0.0.1:8787", PRONK_KEY = "none" } = process.env;
const client = new Ollama({ host: PRONK_URL, headers: { authorization: `Bearer ${PRONK_KEY}` } });
const [{ name: model }] = (await client.list()).models;
const messages = [{ role: "user", content: "How many days are in a week?" }];
const options = { temperature: 0, repeat_penalty: 1 };

for await (const { message } of await client.chat({ model, messages, options, stream: true })) {
  process.stdout.write(message.content);
}

const format = {
  type: "object",
  properties: { days: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["days"],
};
const { message } = await client.chat({ model, messages, format, options });
console.log("\n", JSON.parse(message.content));
