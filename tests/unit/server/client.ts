/** Requests to an app, and its answers read as a client reads them. */
import type { Hono } from "hono";
import type { AppEnv } from "../../../src/server/context.ts";

export type App = Hono<AppEnv>;

export const CHAT = "/v1/chat/completions";
export const COMPLETIONS = "/v1/completions";
export const question: { role: string; content: string }[] = [
  { role: "user", content: "How many days are in a week?" },
];

/** A chat request that is answered greedily, with more fields. */
export const chat = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  model: "toy/llama",
  messages: question,
  temperature: 0,
  ...fields,
});

export const completion = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  model: "toy/llama",
  prompt: "Once",
  temperature: 0,
  ...fields,
});

export async function post(
  app: App,
  path: string,
  body: unknown,
  init: RequestInit = {},
): Promise<Response> {
  return app.request(path, {
    method: "POST",
    body: JSON.stringify(body),
    ...init,
    headers: { "content-type": "application/json", ...init.headers },
  });
}

// biome-ignore lint/suspicious/noExplicitAny: answers are read as freely as JSON is
export type Json = any;

/** The parsed body of an answer, with its status. */
export async function postJson(
  app: App,
  path: string,
  body: unknown,
): Promise<{ status: number; json: Json; headers: Headers }> {
  const response = await post(app, path, body);
  return { status: response.status, json: await response.json(), headers: response.headers };
}

/** The events of a stream: `data:` lines, `[DONE]` and comments as they stand. */
export async function events(response: Response): Promise<string[]> {
  const text = await response.text();
  return text.split("\n\n").slice(0, -1);
}

/** The JSON values of a stream's events; the last event must be [DONE]. */
export async function chunks(response: Response): Promise<Json[]> {
  const all = await events(response);
  if (all.pop() !== "data: [DONE]") throw new Error("the stream did not end with [DONE]");
  return all.map((event) => JSON.parse(event.replace(/^data: /, "")));
}
