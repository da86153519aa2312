// The AI SDK without a server: node ai-sdk-in-process.mjs [MODEL].
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { createEngine } from "pronk";
import { createPronk } from "pronk/ai-sdk";
import { z } from "zod";

const engine = await createEngine(process.argv[2] ?? "smollm2-135m-instruct", { ctx: 1024 });
const pronk = createPronk({ engine });
const prompt = "How many days are in a week?";

for await (const text of streamText({ model: pronk(), prompt, temperature: 0 }).textStream) {
  process.stdout.write(text);
}

const { output } = await generateText({
  model: pronk(),
  prompt,
  output: Output.object({ schema: z.object({ days: z.number().int().min(1).max(9) }) }),
});
console.log("\n", output);

const { steps } = await generateText({
  model: pronk(),
  prompt: "How is the weather in Paris?",
  tools: {
    weather: tool({
      inputSchema: z.object({ city: z.enum(["Paris", "Rome"]) }),
      execute: async ({ city }) => `It is sunny in ${city}.`,
    }),
  },
  toolChoice: "required",
  stopWhen: stepCountIs(1),
  providerOptions: { pronk: { parallel_tool_calls: false } },
});
console.log(steps[0].toolResults.map(({ output }) => output));

const { embeddings } = await embedMany({
  model: pronk.embeddingModel(),
  values: ["a week", "seven days"],
});
console.log(`${embeddings.length} vectors of ${embeddings[0].length}`);
await engine.dispose();
