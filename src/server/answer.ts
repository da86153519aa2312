/** Runs a job and answers, whole or as a stream. */
import { PronkError } from "../errors.ts";
import type { GenerateRequest } from "../generate/request.ts";
import { fingerprintOf } from "./adapters.ts";
import { type ChoiceEvent, runChoices } from "./choices.ts";
import type { AppContext, ServerContext } from "./context.ts";
import type { AnswerHead, Job } from "./job.ts";
import { choiceSeed } from "./sampling.ts";
import { type EventStreamOptions, eventStream } from "./sse.ts";
import { streamedAnswer } from "./streamed-answer.ts";
import { serverTiming } from "./usage.ts";
import { wholeAnswer } from "./whole-answer.ts";

/** @throws what the engine throws before the first token of a stream, or before a whole answer. */
export async function answer(c: AppContext, server: ServerContext, job: Job): Promise<Response> {
  const abort = abortOf(c);
  const events = runJob(job, abort);
  const head = answerHead(job, server);
  if (job.fields.stream !== true) {
    const body = await wholeAnswer(job, head, events);
    c.header("server-timing", serverTiming(body.timings));
    return c.json(body);
  }
  return eventStream(c, streamedAnswer(job, head, events), streamOptions(c, server, abort));
}

/** Fires when the client that a request is of is gone. */
export function abortOf(c: AppContext): AbortController {
  const abort = new AbortController();
  const gone = (): void => abort.abort();
  const { signal } = c.req.raw; // the raw request's is the one that every platform fires
  if (signal.aborted) gone();
  signal.addEventListener("abort", gone, { once: true });
  return abort;
}

/** With a log of what fails after a stream began; not of clients that left. */
export function streamOptions(
  c: AppContext,
  server: ServerContext,
  abort: AbortController,
): EventStreamOptions {
  return {
    abort,
    ping: server.ping,
    onError: (error) => {
      if (error instanceof PronkError && error.code === "aborted") return;
      c.get("record").error = error;
    },
  };
}

/** Yields what the job's choices produce. @param abort as runChoices has it. */
export function runJob(
  job: Job,
  abort: AbortController,
): AsyncGenerator<ChoiceEvent, void, undefined> {
  return runChoices(job.engine, requestsOf(job), abort);
}

export function answerHead(
  job: Job,
  { clock, randomId }: Pick<ServerContext, "clock" | "randomId">,
): AnswerHead {
  return {
    id: `${job.shape.idPrefix}${randomId()}`,
    created: Math.floor(clock.wall() / 1000),
    model: job.served.model,
    system_fingerprint: fingerprintOf(job.engine, job.served.adapters),
  };
}

function requestsOf({ prompts, n, sampling, served: { adapters } }: Job): GenerateRequest[] {
  const { seed } = sampling;
  return prompts.flatMap((prompt_ids) =>
    Array.from({ length: n }, (_, k) => ({
      ...sampling,
      adapters,
      prompt_ids,
      ...(seed === undefined ? {} : { seed: choiceSeed(seed, k) }),
    })),
  );
}
