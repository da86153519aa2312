/** Asks a Worker that has just been deployed one question, to which the same model here has given the answer. */
import { PronkError, throwIfAborted } from "../../errors.ts";
import { timerSleep } from "../../sources/sleep.ts";
import { SMOKE_PROMPT, SMOKE_TOKENS } from "./measure.ts";

/** A new name takes some seconds to be known everywhere, an isolate a second to load. */
const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 1000;
const REQUEST_TIMEOUT_MS = 60_000;

export interface SmokeOptions {
  readonly url: string;
  /** By the name that the Worker gives it. */
  readonly model: string;
  /** A bearer key, where the Worker asks for one. */
  readonly key?: string;
  /** What the model has to answer; undefined: anything. */
  readonly expected?: string;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
}

export interface SmokeResult {
  readonly url: string;
  /** Until /health said ready. */
  readonly readyMs: number;
  readonly prompt: string;
  readonly answer: string;
  /** From the question to the whole answer. */
  readonly answerMs: number;
  /** Whether it was compared with this machine's answer. */
  readonly compared: boolean;
}

/** @throws PronkError "engine_failed" when it does not answer, or otherwise than here. */
export async function smokeTest(options: SmokeOptions): Promise<SmokeResult> {
  const { url, model, expected } = options;
  const started = performance.now();
  await untilReady(options, started);
  const ready = performance.now();
  const { status, text } = await ask(options, "/v1/completions", {
    model,
    prompt: SMOKE_PROMPT,
    max_tokens: SMOKE_TOKENS,
    temperature: 0,
  });
  if (status === 401) {
    throw failed(url, "it asks for an API key: set PRONK_API_KEY to one, and run it again");
  }
  const answer = answerOf(text);
  if (status !== 200 || answer === undefined) {
    throw failed(url, `status ${status}: ${text.slice(0, 300)}`);
  }
  if (expected !== undefined && answer !== expected) {
    throw failed(
      url,
      `${JSON.stringify(SMOKE_PROMPT)} gives ${JSON.stringify(answer)}, here ${JSON.stringify(expected)}`,
    );
  }
  return {
    url,
    readyMs: Math.round(ready - started),
    prompt: SMOKE_PROMPT,
    answer,
    answerMs: Math.round(performance.now() - ready),
    compared: expected !== undefined,
  };
}

async function untilReady(options: SmokeOptions, started: number): Promise<void> {
  let last = "no answer";
  while (performance.now() - started < READY_TIMEOUT_MS) {
    throwIfAborted(options.signal);
    try {
      const { status, text } = await ask(options, "/health");
      if (status === 200) return;
      last = `status ${status}: ${text.slice(0, 300)}`;
    } catch (error) {
      throwIfAborted(options.signal);
      last = (error as Error).message;
    }
    await timerSleep(POLL_MS, options.signal);
  }
  throw failed(options.url, `not ready in ${READY_TIMEOUT_MS / 1000} s: ${last}`);
}

async function ask(
  { url, key, fetch, signal }: SmokeOptions,
  path: string,
  body?: unknown,
): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${url}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: {
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
  });
  return { status: answer.status, text: await answer.text() };
}

function answerOf(text: string): string | undefined {
  try {
    const found = JSON.parse(text)?.choices?.[0]?.text;
    return typeof found === "string" ? found : undefined;
  } catch {
    return undefined;
  }
}

function failed(url: string, why: string): PronkError {
  return new PronkError(
    "engine_failed",
    `smoke test: ${url}: ${why}; pronk deploy --rollback goes back to the release before`,
  );
}
