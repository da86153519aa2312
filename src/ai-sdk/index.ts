/**
 * An engine as a provider of the AI SDK (`ai` 6), in the same process: no server, no HTTP.
 *
 * @module
 * @example
 * import { generateText } from "ai";
 * import { createEngine } from "pronk";
 * import { createPronk } from "pronk/ai-sdk";
 * const pronk = createPronk({ engine: await createEngine("smollm2-135m-instruct") });
 * const { text } = await generateText({ model: pronk(), prompt: "Why is the sky blue?" });
 */
export { createPronk, type PronkProvider, type PronkProviderOptions } from "./provider.ts";
