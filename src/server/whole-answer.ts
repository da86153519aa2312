/** An answer in one piece. */
import type { GenerateResult } from "../generate/request.ts";
import type { ChoiceEvent } from "./choices.ts";
import { withEcho } from "./echo.ts";
import {
  type AnswerHead,
  echoOf,
  type Job,
  ownPromptIds,
  sharedPromptIds,
  writerOf,
} from "./job.ts";
import { timingsOf, type Usage, usageOf, type WireTimings } from "./usage.ts";

export interface WholeAnswer extends AnswerHead {
  readonly object: string;
  readonly choices: readonly Record<string, unknown>[];
  readonly usage: Usage;
  readonly timings: WireTimings;
  readonly prompt_token_ids?: readonly number[];
}

/** Drains the choices' events; the choices come in order of their index. */
export async function wholeAnswer(
  job: Job,
  head: AnswerHead,
  events: AsyncIterable<ChoiceEvent>,
): Promise<WholeAnswer> {
  const { shape, prompts, n, fields } = job;
  const count = prompts.length * n;
  const writers = Array.from({ length: count }, (_, index) => writerOf(job, index));
  const texts = Array.from({ length: count }, (_, index) => echoOf(job, index)?.text ?? "");
  const results = new Array<GenerateResult>(count);
  for await (const event of events) {
    if ("result" in event) {
      const { index, result } = event;
      results[index] = withEcho(result, echoOf(job, index), index % n === 0);
    } else {
      texts[event.index] += event.part.text;
      writers[event.index]?.push(event.part);
    }
  }
  return {
    ...head,
    object: shape.object,
    choices: results.map(({ ids, finish_reason, stop }, index) => {
      const text = texts[index] ?? "";
      const reader = job.reader?.(head, index);
      reader?.push(text);
      reader?.end();
      return {
        index,
        ...(reader?.whole() ?? shape.whole(text)),
        logprobs: writers[index]?.takeRest() ?? null,
        finish_reason: reader?.finish(finish_reason) ?? finish_reason,
        ...(stop === undefined ? {} : { stop_reason: stop }),
        ...(fields.return_token_ids === true ? { token_ids: ids } : {}),
        ...ownPromptIds(job, index),
      };
    }),
    usage: usageOf(prompts, results, n),
    timings: timingsOf(results, job.engine.info),
    ...sharedPromptIds(job),
  };
}
