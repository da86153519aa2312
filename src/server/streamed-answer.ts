/**
 * An answer in chunks. For each choice: its opening, one chunk for every token that brings text
 * (for every token when ids are asked for), then the finish reason; choices mix. At the end the
 * usage, only when asked for: readers that take `choices[0]` of every chunk fail on it.
 */
import type { GenerateResult } from "../generate/request.ts";
import type { ChoiceEvent } from "./choices.ts";
import { withEcho } from "./echo.ts";
import {
  type AnswerHead,
  echoOf,
  type Job,
  type OutputReader,
  ownPromptIds,
  sharedPromptIds,
  writerOf,
} from "./job.ts";
import type { LogprobsWriter } from "./logprobs.ts";
import { timingsOf, usageOf } from "./usage.ts";

/** What varies from chunk to chunk of one choice. */
interface Delta {
  readonly body: Record<string, unknown>;
  readonly logprobs?: unknown;
  readonly finish_reason?: string;
  readonly stop_reason?: string | undefined;
  readonly token_ids?: readonly number[];
}

/** Yields the chunks' objects. */
export async function* streamedAnswer(
  job: Job,
  head: AnswerHead,
  events: AsyncIterable<ChoiceEvent>,
): AsyncGenerator<Record<string, unknown>, void, undefined> {
  const { shape, prompts, n, fields } = job;
  const withIds = fields.return_token_ids === true;
  const withUsage = fields.stream_options?.include_usage === true;
  const common = { ...head, object: shape.chunkObject };
  const writers = new Map<number, LogprobsWriter | undefined>();
  const readers = new Map<number, OutputReader | undefined>();
  const results = new Array<GenerateResult>(prompts.length * n);

  let isFirst = true;
  const fresh = new Set<number>();
  const chunk = (
    index: number,
    { body, logprobs, finish_reason, stop_reason, token_ids }: Delta,
  ) => {
    const shared = isFirst ? sharedPromptIds(job) : {};
    const own = fresh.delete(index) ? ownPromptIds(job, index) : {};
    isFirst = false;
    const choice = {
      index,
      ...body,
      logprobs: logprobs ?? null,
      finish_reason: finish_reason ?? null,
      ...(stop_reason === undefined ? {} : { stop_reason }),
      ...(withIds ? { token_ids: token_ids ?? [] } : {}),
      ...own,
    };
    return { ...common, choices: [choice], ...(withUsage ? { usage: null } : {}), ...shared };
  };

  for await (const event of events) {
    const { index } = event;
    if (!writers.has(index)) {
      writers.set(index, writerOf(job, index));
      fresh.add(index);
      readers.set(index, job.reader?.(head, index));
      const opening = readers.get(index)?.opening ?? shape.opening;
      if (opening !== undefined) yield chunk(index, { body: opening });
      const echo = echoOf(job, index);
      if (echo !== undefined) {
        yield chunk(index, { body: shape.piece(echo.text), logprobs: writers.get(index)?.take() });
      }
    }
    const writer = writers.get(index);
    const reader = readers.get(index);
    if ("part" in event) {
      const { part } = event;
      writer?.push(part);
      if (part.text === "" && !withIds) continue;
      const bodies = reader?.push(part.text) ?? [shape.piece(part.text)];
      if (bodies.length === 0 && withIds) {
        yield chunk(index, { body: shape.closing, token_ids: [part.token] });
      }
      // What came with the token goes with the first chunk that it makes certain.
      for (const [i, body] of bodies.entries()) {
        const own = i === 0 ? { logprobs: writer?.take(), token_ids: [part.token] } : {};
        yield chunk(index, { body, ...own });
      }
    } else {
      const result = withEcho(event.result, echoOf(job, index), index % n === 0);
      // For the usage alone: log-probabilities are megabytes a choice, and have been sent.
      const { logprobs: _, ...counted } = result;
      results[index] = counted;
      for (const body of reader?.end() ?? []) yield chunk(index, { body });
      const finish_reason = reader?.finish(result.finish_reason) ?? result.finish_reason;
      const { stop: stop_reason } = result;
      const logprobs = writer?.takeRest();
      const closing = chunk(index, { body: shape.closing, logprobs, finish_reason, stop_reason });
      writers.set(index, undefined);
      readers.set(index, undefined);
      yield { ...closing, timings: timingsOf([counted], job.engine.info) };
    }
  }
  if (withUsage) yield { ...common, choices: [], usage: usageOf(prompts, results, n) };
}
