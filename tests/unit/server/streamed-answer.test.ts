/** What a stream keeps of what it has sent. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { answerHead } from "../../../src/server/answer.ts";
import { chatJob } from "../../../src/server/chat-job.ts";
import type { ChoiceEvent } from "../../../src/server/choices.ts";
import { DEFAULT_LIMITS } from "../../../src/server/limits.ts";
import { streamedAnswer } from "../../../src/server/streamed-answer.ts";
import { chat } from "./client.ts";
import { createToy } from "./toy-engine.ts";

setFlagsFromString("--expose_gc");
const collect = runInNewContext("gc") as () => void;

test("a choice that has ended leaves none of its log-probabilities behind", async () => {
  const { engine } = createToy();
  const body = chat({ n: 5, logprobs: true, top_logprobs: 20, stream: true });
  const job = await chatJob(body, () => engine, DEFAULT_LIMITS);
  const head = answerHead(job, { clock: { now: () => 0, wall: () => 0 }, randomId: () => "1" });
  const { result } = engine.stream({ prompt_ids: [1], max_tokens: 4, top_logprobs: 20 });
  const made = await result;
  const kept: WeakRef<object>[] = [];
  const ended = (index: number): ChoiceEvent => {
    const logprobs = structuredClone(made.logprobs ?? []);
    kept.push(new WeakRef(logprobs));
    return { index, result: { ...made, logprobs } };
  };
  async function* events(): AsyncGenerator<ChoiceEvent, void, undefined> {
    for (let index = 0; index < 4; index++) yield ended(index);
  }
  const chunks = streamedAnswer(job, head, endless(events));
  for (let n = 0; n < 8; n++) await chunks.next();
  const left = (): number => kept.slice(0, 2).filter((one) => one.deref() !== undefined).length;
  for (let n = 0; n < 20 && left() > 0; n++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
  }
  expect(kept).toHaveLength(4);
  expect(left()).toBe(0);
});

/** What comes, and then nothing more. */
async function* endless<Event>(
  events: () => AsyncGenerator<Event, void, undefined>,
): AsyncGenerator<Event, void, undefined> {
  yield* events();
  await new Promise(() => {});
}
