/**
 * Runs a request's choices through the engine and merges what they produce, in order of arrival.
 *
 * At most as many run at once as the engine has slots, so that one request with many choices never
 * fills the queue that others wait in. Nothing runs ahead: a choice is asked for its next token
 * after its last one was taken.
 */
import type { CallOptions, Engine } from "../engine/engine.ts";
import type { GenerateRequest, GenerateResult, TokenPart } from "../generate/request.ts";

/** One token of a choice, or its end. */
export type ChoiceEvent =
  | { readonly index: number; readonly part: TokenPart }
  | { readonly index: number; readonly result: GenerateResult };

/** An event, and the way to the one after it. */
interface Step {
  readonly index: number;
  readonly event: ChoiceEvent;
  /** undefined after the last event. */
  readonly proceed: (() => Promise<Step>) | undefined;
}

/**
 * Yields every token of every choice and, after each choice's last token, its result.
 *
 * @param abort fires when the caller is gone; it is also fired here when one choice fails or the
 *   iterator is returned, so that the other choices stop.
 * @param cacheSalt of all of them.
 * @throws whatever the engine throws, from the first choice that fails.
 */
export async function* runChoices(
  engine: Engine,
  requests: readonly GenerateRequest[],
  abort: AbortController,
  cacheSalt?: string,
): AsyncGenerator<ChoiceEvent, void, undefined> {
  const running = new Map<number, Promise<Step>>();
  let started = 0;
  let ended = 0;
  const advance = (index: number, next: Promise<Step>): void => {
    next.catch(() => {}); // another choice may fail first, and then nobody waits for this one
    running.set(index, next);
  };
  const startMore = (): void => {
    while (started < requests.length && running.size < Math.max(1, engine.info.slots)) {
      const request = requests[started] as GenerateRequest; // started < length
      // One that was let in is not refused for its later choices.
      const call = { signal: abort.signal, cacheSalt, isPart: started > 0 };
      advance(started, startChoice(engine, request, started, call));
      started++;
    }
  };
  try {
    for (startMore(); running.size > 0; startMore()) {
      const { index, event, proceed } = await Promise.race(running.values());
      // To the end of the line, which race() reads in order: choices that are ready take turns.
      running.delete(index);
      yield event;
      if (proceed !== undefined) advance(index, proceed());
      else ended++;
    }
  } finally {
    if (ended < requests.length) abort.abort();
  }
}

async function startChoice(
  engine: Engine,
  request: GenerateRequest,
  index: number,
  call: CallOptions,
): Promise<Step> {
  const generation = engine.stream(request, call);
  generation.result.catch(() => {}); // iteration throws the same error
  const parts = generation[Symbol.asyncIterator]();
  const proceed = async (): Promise<Step> => {
    const { done, value } = await parts.next();
    if (!done) return { index, event: { index, part: value }, proceed };
    return { index, event: { index, result: await generation.result }, proceed: undefined };
  };
  return proceed();
}
