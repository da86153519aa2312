/** A long streamed answer of a server that is told to end meanwhile. */
import type { ChildProcess } from "node:child_process";
import { expect } from "vitest";
import { QUESTION } from "./environment.ts";
import { readEvents } from "./event-stream.ts";

export const STREAM_TOKENS = 240;

type Events = ReturnType<typeof readEvents>;

/** Behind its first event. */
export async function beginStream({ url }: { readonly url: string }): Promise<Events> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({
      model: "smollm2-135m-instruct",
      messages: [{ role: "user", content: QUESTION }],
      max_tokens: STREAM_TOKENS,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    }),
    signal: AbortSignal.timeout(180_000),
  });
  expect(response.status).toBe(200);
  const events = readEvents(response);
  await events.next();
  return events;
}

/** The data of its other events. */
export async function restOf(events: Events): Promise<string[]> {
  const found: string[] = [];
  for await (const { data } of events) found.push(data);
  return found;
}

export const exitOf = ({ child }: { readonly child: ChildProcess }): Promise<number | null> =>
  new Promise((resolve) => child.once("exit", resolve));
