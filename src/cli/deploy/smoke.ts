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
  /** Until the question was taken. */
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
  const { url, expected } = options;
  const started = performance.now();
  const { status, text, ms } = await untilAnswered(options, started);
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
    readyMs: Math.round(performance.now() - started - ms),
    prompt: SMOKE_PROMPT,
    answer,
    answerMs: Math.round(ms),
    compared: expected !== undefined,
  };
}

/** Asks until there is an answer that will not be another by waiting. */
async function untilAnswered(options: SmokeOptions, started: number): Promise<Answer> {
  let last = "no answer";
  while (performance.now() - started < READY_TIMEOUT_MS) {
    throwIfAborted(options.signal);
    try {
      const found = await ask(options);
      if (!isPassing(found.status)) return found;
      last = `status ${found.status}: ${found.text.slice(0, 300)}`;
    } catch (error) {
      throwIfAborted(options.signal);
      last = (error as Error).message;
    }
    await timerSleep(POLL_MS, options.signal);
  }
  throw failed(options.url, `not ready in ${READY_TIMEOUT_MS / 1000} s: ${last}`);
}

/** A model that loads is 503; a name that is new is not known everywhere, or has no certificate yet. */
function isPassing(status: number): boolean {
  return status === 404 || status >= 500;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly ms: number;
}

async function ask({ url, model, key, fetch, signal }: SmokeOptions): Promise<Answer> {
  const started = performance.now();
  const answer = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify({
      model,
      prompt: SMOKE_PROMPT,
      max_tokens: SMOKE_TOKENS,
      temperature: 0,
    }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
  });
  const text = await answer.text();
  return { status: answer.status, text, ms: performance.now() - started };
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
