import { describe, expect, test } from "vitest";
import type { EngineOptions } from "../../../src/engine/create-engine.ts";
import { settle, type TestEngine, toyEngine, toyModel } from "./toy-engine.ts";
import { type ToyOptions, type ToyRunner, toyLogits } from "./toy-runner.ts";
import { toyTokenizer } from "./toy-tokenizer.ts";

const greedy = { temperature: 0, ignore_eos: true };
const CTX = 24;

function shifting(toy: ToyOptions = {}, options: EngineOptions = {}): TestEngine<ToyRunner> {
  return toyEngine({ slots: 1, ctx: CTX, ...toy }, { contextShift: true, ...options });
}

/** Greedy decoding by hand, in a context that is cut when it is full. */
function shifted(
  prompt: readonly number[],
  count: number,
  keep: number,
  memory?: number,
  vocab = 64,
): number[] {
  let window = [...prompt];
  const output: number[] = [];
  for (let n = 0; n < count; n++) {
    const logits = toyLogits(memory === undefined ? window : window.slice(-memory), vocab);
    const token = logits.indexOf(Math.max(...logits));
    output.push(token);
    if (window.length === CTX) {
      const dropped = Math.ceil((CTX - keep) / 2);
      window = [...window.slice(0, keep), ...window.slice(keep + dropped)];
    }
    window.push(token);
  }
  return output;
}

const prompt = [5, 6, 7, 8, 9, 10];

describe.each([
  ["at once", false],
  ["asynchronously", true],
])("with a runner that runs %s", (_, async) => {
  test.each([0, 1, 5, 6])("goes on beyond the context, keeping %d tokens", async (n_keep) => {
    const { engine } = shifting({ async });
    const { ids, finish_reason, timings } = await engine.generate({
      prompt_ids: prompt,
      max_tokens: 200,
      n_keep,
      ...greedy,
    });
    expect(ids).toEqual(shifted(prompt, 200, n_keep));
    expect(finish_reason).toBe("length");
    expect(timings.predicted_n).toBe(200);
    expect(engine.stats().context_shifts).toBeGreaterThan(10);
    expect(engine.stats().generated_tokens).toBe(200);
  });
});

test("without the option, and without max_tokens, the context is the end", async () => {
  for (const [contextShift, max_tokens] of [
    [false, 200],
    [true, undefined],
  ] as const) {
    const { engine } = shifting({}, { contextShift });
    const { ids, finish_reason } = await engine.generate({
      prompt_ids: prompt,
      max_tokens,
      ...greedy,
    });
    expect(ids).toHaveLength(CTX - prompt.length);
    expect(finish_reason).toBe("length");
    expect(engine.stats().context_shifts).toBe(0);
  }
});

test("a prompt that fills the context can be answered", async () => {
  const { engine } = shifting();
  const full = Array.from({ length: CTX }, (_, i) => i + 1);
  const { ids } = await engine.generate({ prompt_ids: full, max_tokens: 30, n_keep: 2, ...greedy });
  expect(ids).toEqual(shifted(full, 30, 2));
  await expect(
    engine.generate({ prompt_ids: [...full, 1], max_tokens: 30, ...greedy }),
  ).rejects.toMatchObject({ code: "context_overflow" });
});

test("no more than half of the context is kept, and an output may end just where it is full", async () => {
  const { engine } = shifting();
  const long = Array.from({ length: 20 }, (_, i) => i + 1);
  const { ids } = await engine.generate({
    prompt_ids: long,
    max_tokens: 50,
    n_keep: 20,
    ...greedy,
  });
  expect(ids).toEqual(shifted(long, 50, CTX / 2));
  const before = engine.stats().context_shifts;
  const end = { prompt_ids: prompt, max_tokens: CTX - prompt.length + 1, ...greedy };
  expect((await engine.generate(end)).ids).toEqual(shifted(prompt, CTX - prompt.length + 1, 0));
  expect(engine.stats().context_shifts).toBe(before);
});

test("reading again goes through the planner: others get a token every batch", async () => {
  const { engine, runner } = shifting({ slots: 2, ctx: 48, maxRows: 8 });
  const long = engine.generate({ prompt_ids: prompt, max_tokens: 150, ...greedy });
  await settle(8);
  const before = runner.batches.length;
  await engine.generate({ prompt_ids: [1], max_tokens: 40, ...greedy });
  const during = runner.batches.slice(before + 1, before + 38);
  const reading = during.filter(({ spans }) =>
    spans.some(({ slot, count }) => slot === 0 && count > 1),
  );
  expect(reading.length).toBeGreaterThan(2);
  for (const { spans } of during) {
    expect(spans.some(({ slot, count }) => slot === 1 && count === 1)).toBe(true);
  }
  expect((await long).ids).toHaveLength(150);
});

test("what was shifted serves as a cache of what it holds now", async () => {
  const { engine } = shifting();
  await engine.generate({ prompt_ids: prompt, max_tokens: 40, n_keep: 6, ...greedy });
  const again = await engine.generate({ prompt_ids: prompt, max_tokens: 40, n_keep: 6, ...greedy });
  expect(again.ids).toEqual(shifted(prompt, 40, 6));
  expect(again.timings.cached_n).toBe(5);
});

test("pauses, company, penalties and tokens that are run ahead change nothing", async () => {
  const memory = 2;
  const toy = { slots: 2, memory, maxRows: 24, maxLogits: 18 };
  const { engine, runner, clock } = shifting(toy);
  runner.before = () => {
    clock.ms++;
  };
  const request = { prompt_ids: prompt, max_tokens: 300, n_keep: 3, ...greedy };
  const iterator = engine.stream(request)[Symbol.asyncIterator]();
  await settle(150);
  const sampled = {
    ...request,
    temperature: 0.7,
    repetition_penalty: 1.1,
    seed: 4,
    prompt_ids: [3, 4],
  };
  const company = await engine.generate(sampled);
  const seen: number[] = [];
  for (let read = await iterator.next(); !read.done; read = await iterator.next()) {
    seen.push(read.value.token);
  }
  expect(seen).toEqual(shifted(prompt, 300, 3, memory));
  const { accepted_draft_tokens, context_shifts } = engine.stats();
  expect(accepted_draft_tokens).toBeGreaterThan(50);
  expect(context_shifts).toBeGreaterThan(20);
  const { engine: plain } = shifting({ memory }, { speculate: "off" });
  expect((await plain.generate(sampled)).ids).toEqual(company.ids);
});

test("a draft model follows the shifted context", async () => {
  // So many that none comes twice after another, which would be looked up.
  const vocab = 4096;
  const tokenizer = toyTokenizer(
    Array.from({ length: vocab }, (_, id) => String.fromCharCode(0x4e00 + id)),
  );
  const draft = toyModel({ slots: 1, ctx: CTX, vocab }, tokenizer);
  const { engine, runner, clock } = toyEngine(
    { slots: 1, ctx: CTX, vocab, maxRows: 8, maxLogits: 8 },
    { contextShift: true, speculate: { draft }, tokenizer },
  );
  runner.before = () => {
    clock.ms++;
  };
  const request = { prompt_ids: prompt, max_tokens: 200, n_keep: 2, ...greedy };
  const { ids } = await engine.generate(request);
  expect(ids).toEqual(shifted(prompt, 200, 2, undefined, vocab));
  const { draft_tokens, accepted_draft_tokens } = engine.stats();
  expect(accepted_draft_tokens).toBe(draft_tokens);
  expect(draft_tokens).toBeGreaterThan(20);
});

test.each([{ n_keep: -1 }, { n_keep: 1.5 }])("refuses %o", async (fields) => {
  const { engine } = shifting();
  await expect(engine.generate({ prompt_ids: [1], ...fields })).rejects.toMatchObject({
    code: "bad_request",
    param: "n_keep",
  });
});

test("BOS is kept where nothing is said", async () => {
  const tokenizer = { ...toyTokenizer(), bosId: 5 };
  const { engine } = toyEngine({ slots: 1, ctx: CTX }, { contextShift: true, tokenizer });
  for (const [start, keep] of [
    [5, 1],
    [6, 0],
  ]) {
    const ids = [start, 7, 8];
    const result = await engine.generate({ prompt_ids: ids, max_tokens: 60, ...greedy });
    expect(result.ids).toEqual(shifted(ids, 60, keep));
  }
});
