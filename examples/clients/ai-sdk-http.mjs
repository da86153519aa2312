// The AI SDK over HTTP: node ai-sdk-http.mjs, with `npx pronk serve` running.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, streamText } from "ai";
import { z } from "zod";

const { PRONK_URL = "http://127.0.0.1:8787", PRONK_KEY } = process.env;
const provider = createOpenAICompatible({
  name: "pronk",
  baseURL: `${PRONK_URL}/v1`,
  apiKey: PRONK_KEY,
  includeUsage: true,
  supportsStructuredOutputs: true, // else schemas are only described to the model
});
const model = provider(process.env.PRONK_MODEL ?? "smollm2-135m-instruct");
const prompt = "How many days are in a week?";

const { textStream, usage } = streamText({ model, prompt, temperature: 0 });
for await (const text of textStream) process.stdout.write(text);
console.log(`\n${(await usage).outputTokens} tokens`);

const { output } = await generateText({
  model,
  prompt,
  output: Output.object({ schema: z.object({ days: z.number().int().min(1).max(9) }) }),
});
console.log(output);
