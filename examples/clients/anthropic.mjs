// Anthropic's package: node anthropic.mjs, with `npx pronk serve` running.
import Anthropic from "@anthropic-ai/sdk";

const { PRONK_URL = "http://127.0.0.1:8787", PRONK_KEY = "none" } = process.env;
const client = new Anthropic({ baseURL: PRONK_URL, apiKey: PRONK_KEY });
const stream = client.messages.stream({
  model: process.env.PRONK_MODEL ?? "smollm2-135m-instruct",
  max_tokens: 64,
  temperature: 0,
  system: "You answer briefly.",
  messages: [{ role: "user", content: "How many days are in a week?" }],
});
stream.on("text", (text) => process.stdout.write(text));
const { stop_reason, usage } = await stream.finalMessage();
console.log(`\n${stop_reason} after ${usage.output_tokens} tokens`);
