import { describe, expect, test } from "vitest";
import type { GenerateRequest } from "../../../src/generate/request.ts";
import { collect, engineOver, toyEngine } from "./toy-engine.ts";
import { ToyRunner } from "./toy-runner.ts";

const prompt_ids = Array.from({ length: 30 }, (_, i) => 1 + ((i * 13) % 60));

const requests: [string, GenerateRequest][] = [
  ["greedy", { prompt_ids, temperature: 0, max_tokens: 24, ignore_eos: true }],
  ["sampled", { prompt_ids, seed: 5, top_p: 0.8, max_tokens: 24, ignore_eos: true }],
  [
    "penalized",
    { prompt_ids, seed: 6, max_tokens: 24, frequency_penalty: 1, repetition_penalty: 1.3 },
  ],
  ["with log-probabilities", { prompt_ids, seed: 7, max_tokens: 24, top_logprobs: 3 }],
  ["with a prediction", { prompt_ids, seed: 9, max_tokens: 24, prediction_ids: [1, 2, 3] }],
];

describe.each(requests)("an output that goes on, %s", (_, request) => {
  test("is the one that was not cut, wherever it was", async () => {
    const whole = await collect(toyEngine().engine.stream(request));
    const result = await toyEngine().engine.generate(request);
    for (let cut = 0; cut <= whole.length; cut++) {
      const { engine } = toyEngine();
      const output_ids = whole.slice(0, cut).map(({ token }) => token);
      const generation = engine.stream({ ...request, output_ids });
      expect(await collect(generation)).toEqual(whole);
      const { timings, ...rest } = await generation.result;
      const { timings: before, ...expected } = result;
      expect(rest).toEqual(expected);
      expect(timings.predicted_n).toBe(before.predicted_n);
      await engine.dispose();
    }
  });
});

describe("tokens that an output is to begin with", () => {
  const request = { prompt_ids, temperature: 0, max_tokens: 24, ignore_eos: true };

  test("are read as a prompt is, and do not count as cached ones of it", async () => {
    const { engine, runner } = toyEngine({ maxRows: 64 });
    const whole = await engine.generate(request);
    const before = runner.batches.length;
    const again = await engine.generate({ ...request, output_ids: whole.ids.slice(0, 20) });
    expect(runner.batches.length - before).toBe(4);
    expect(again.ids).toEqual(whole.ids);
    expect(again.timings.cached_n).toBe(prompt_ids.length);
  });

  test("are generated again where keys depend on how a text is cut", async () => {
    const runner = Object.assign(new ToyRunner(), { isCutDependent: true });
    const { engine } = engineOver(runner);
    const whole = await collect(engine.stream(request));
    const output_ids = whole.slice(0, 20).map(({ token }) => token);
    expect(await collect(engine.stream({ ...request, output_ids }))).toEqual(whole);
  });

  test("are refused when they are no tokens, or go on after an end", async () => {
    const { engine } = toyEngine();
    for (const output_ids of [[64], [0, 1]]) {
      const generation = engine.generate({ prompt_ids, output_ids });
      await expect(generation).rejects.toMatchObject({ code: "bad_request", param: "output_ids" });
    }
  });
});

describe("a time that is over", () => {
  const request = { prompt_ids, temperature: 0, ignore_eos: true, max_tokens: 40 };

  test("ends the output between two batches; what follows can be asked for", async () => {
    const { engine, runner, clock } = toyEngine();
    const whole = await toyEngine().engine.generate(request);
    runner.before = () => {
      clock.ms += 10;
    };
    const { ids, finish_reason, timed_out } = await engine.generate({
      ...request,
      max_time_ms: 100,
    });
    expect(finish_reason).toBe("length");
    expect(timed_out).toBe(true);
    expect(ids).toEqual(whole.ids.slice(0, ids.length));
    expect(ids.length).toBeGreaterThan(2);
    expect(ids.length).toBeLessThan(10);
    const rest = await engine.generate({ ...request, output_ids: ids });
    expect(rest.ids).toEqual(whole.ids);
    expect(rest.timed_out).toBeUndefined();
  });

  test("is counted by batches where the clock stands still", async () => {
    const { engine } = toyEngine({}, { stepMs: 10 });
    const { ids, timed_out } = await engine.generate({ ...request, max_time_ms: 300 });
    expect(timed_out).toBe(true);
    expect(ids.length).toBeGreaterThan(5);
    expect(ids.length).toBeLessThan(30);
  });

  test("ends what waits for a slot, and what nobody reads", async () => {
    const { engine, runner, clock } = toyEngine({ slots: 1 });
    const running = engine.generate({ ...request, max_tokens: 60 });
    runner.before = () => {
      clock.ms += 10;
    };
    const waiting = await engine.generate({ ...request, max_time_ms: 50 });
    expect(waiting).toMatchObject({ ids: [], finish_reason: "length", timed_out: true });
    await running;
  });

  test("of 0 gives nothing but the way to go on", async () => {
    const { engine } = toyEngine();
    expect(await engine.generate({ ...request, max_time_ms: 0 })).toMatchObject({ ids: [] });
  });
});
