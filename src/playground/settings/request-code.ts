/** The page's request as code that asks the same. */
import type { LlmRequest, PlaygroundEngine } from "../engine.ts";

export interface CodeTarget {
  readonly kind: PlaygroundEngine["kind"];
  /** Of the page: the API is beside it. */
  readonly base: URL;
  readonly model: string;
  readonly request: LlmRequest;
}

/** For a POSIX shell. A key stands there as a variable, never itself. */
export function asCurl({ base, model, request }: CodeTarget): string {
  const body = JSON.stringify({ model, ...request }, undefined, 2);
  return [
    `curl ${quoted(new URL("v1/chat/completions", base).href)} \\`,
    `  -H 'content-type: application/json' \\`,
    `  -H "authorization: Bearer $PRONK_API_KEY" \\`,
    `  -d ${quoted(body)}`,
    "",
  ].join("\n");
}

/** With OpenAI's client where a server answers, with this package's engine where the tab does. */
export function asTypeScript({ kind, base, model, request }: CodeTarget): string {
  const { model: adapter, ...fields } = request;
  if (kind === "server") {
    const body = JSON.stringify({ model: adapter ?? model, ...fields }, undefined, 2);
    return `import OpenAI from "openai";

const { PRONK_API_KEY = "none" } = process.env;
const client = new OpenAI({
  baseURL: ${JSON.stringify(new URL("v1", base).href)},
  apiKey: PRONK_API_KEY,
});
const request = ${body};
const stream = await client.chat.completions.create({ ...request, stream: true } as never);
for await (const chunk of stream as AsyncIterable<OpenAI.ChatCompletionChunk>) {
  process.stdout.write(chunk.choices[0]?.delta.content ?? "");
}
`;
  }
  return `import { createEngine } from "pronk";
import { createLlm } from "pronk/server";

const llm = createLlm({ engine: await createEngine(${JSON.stringify(model)}) });
const stream = llm.stream(${JSON.stringify(request, undefined, 2)});
for await (const { text } of stream) console.log(text);
`;
}

/** In single quotes, in which a shell reads everything as it stands. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
