/** Runs a job and answers, whole or as a stream. */
import { PronkError } from "../errors.ts";
import type { GenerateRequest } from "../generate/request.ts";
import { fingerprintOf } from "./adapters.ts";
import { type ChoiceEvent, runChoices } from "./choices.ts";
import type { AppContext, ServerContext } from "./context.ts";
import type { AnswerHead, Job } from "./job.ts";
import { throughCache } from "./response-cache.ts";
import { createResuming, type Resuming } from "./resuming.ts";
import { choiceSeed } from "./sampling.ts";
import { DATA_ONLY, DONE, type EventStreamOptions, type EventStyle, eventStream } from "./sse.ts";
import { streamedAnswer } from "./streamed-answer.ts";
import { serverTiming } from "./usage.ts";
import { wholeAnswer } from "./whole-answer.ts";

/** @throws what the engine throws before the first token of a stream, or before a whole answer. */
export async function answer(c: AppContext, server: ServerContext, job: Job): Promise<Response> {
  const abort = abortOf(c);
  const fresh = answerHead(job, server);
  // A cache's answers have no ids to go on from.
  const isBounded = server.limits.workMs !== undefined && server.cache === undefined;
  const resuming = await createResuming(c, job, fresh, isBounded);
  const head = resuming?.headOf(fresh) ?? fresh;
  const run = () => runJob(job, abort, resuming);
  // Who goes on says what came before: that is nobody else's answer.
  const cached = resuming ? undefined : await throughCache(c, server.cache, job, run);
  if (cached) c.header("x-pronk-cache", cached.isHit ? "hit" : "miss");
  const events = cached?.events ?? resuming?.follow(run()) ?? run();
  if (job.fields.stream !== true) {
    const body = await wholeAnswer(job, head, events);
    c.header("server-timing", serverTiming(body.timings));
    return c.json({ ...body, ...resuming?.afterTime });
  }
  const chunks = streamedAnswer(job, head, events);
  const options = streamOptions(c, server, abort);
  if (resuming === undefined) return eventStream(c, chunks, options);
  const style = resuming.hasIds ? { style: numbered(resuming) } : {};
  return eventStream(c, resuming.rest(chunks), { ...options, ...style });
}

/** Each event with the id that a client sends back as Last-Event-ID. */
function numbered(resuming: Resuming): EventStyle {
  return {
    ...DATA_ONLY,
    frame: (value) => `id: ${resuming.token}\n${DATA_ONLY.frame(value)}`,
    get end() {
      return `id: ${resuming.token}\n${DONE}`;
    },
  };
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
  resuming?: Resuming,
): AsyncGenerator<ChoiceEvent, void, undefined> {
  const { cache_salt } = job.fields;
  return runChoices(job.engine, requestsOf(job, resuming), abort, cache_salt ?? undefined);
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

function requestsOf(
  { prompts, n, sampling, served: { adapters } }: Job,
  resuming: Resuming | undefined,
): GenerateRequest[] {
  const seed = sampling.seed ?? resuming?.seed;
  return prompts.flatMap((prompt_ids, p) =>
    Array.from({ length: n }, (_, k) => {
      const output_ids = resuming?.outputOf(p * n + k);
      return {
        ...sampling,
        adapters,
        prompt_ids,
        ...(seed === undefined ? {} : { seed: choiceSeed(seed, k) }),
        ...(output_ids === undefined ? {} : { output_ids }),
      };
    }),
  );
}
