import { describe, expect, test } from "vitest";
import { batchWork, WorkBudget } from "../../../src/engine/work-budget.ts";
import { toyEngine } from "./toy-engine.ts";

const prompt_ids = [1, 2, 3];
const request = { prompt_ids, temperature: 0, ignore_eos: true, max_tokens: 40 };

/** Of a batch of one row, in an engine whose clock stands still. */
const STEP_MS = 10;
const options = { stepMs: STEP_MS };

describe("what a batch costs", () => {
  const row = { slot: 0, start: 0, count: 1 };

  test("is one for a row at the start of a text, and more far behind", () => {
    expect(batchWork({ ids: [1], spans: [row] })).toBeCloseTo(1, 2);
    expect(batchWork({ ids: [1], spans: [{ ...row, start: 6000 }] })).toBeCloseTo(3, 2);
  });

  test("grows with the rows of a prompt, less than they do", () => {
    const ids = Array.from({ length: 64 }, () => 1);
    const work = batchWork({ ids, spans: [{ ...row, count: 64 }] });
    expect(work).toBeGreaterThan(16);
    expect(work).toBeLessThan(64);
  });
});

describe("a budget of work", () => {
  test("ends an output with length, and what follows can be asked for", async () => {
    const { engine } = toyEngine({}, options);
    const whole = await engine.generate(request);
    const work = new WorkBudget(12 * STEP_MS);
    const part = await toyEngine({}, options).engine.generate(request, { work });
    expect(part).toMatchObject({ finish_reason: "length", timed_out: true });
    expect(part.ids.length).toBeGreaterThan(5);
    expect(part.ids.length).toBeLessThan(13);
    expect(part.ids).toEqual(whole.ids.slice(0, part.ids.length));
    const rest = await engine.generate({ ...request, output_ids: part.ids });
    expect(rest.ids).toEqual(whole.ids);
  });

  test("is one for all that a request runs", async () => {
    const { engine } = toyEngine({ slots: 2 }, options);
    const work = new WorkBudget(20 * STEP_MS);
    const parts = await Promise.all([
      engine.generate(request, { work }),
      engine.generate({ ...request, prompt_ids: [4, 5] }, { work }),
    ]);
    expect(parts.map((part) => part.timed_out)).toEqual([true, true]);
    expect(parts[0]!.ids.length + parts[1]!.ids.length).toBeLessThan(40);
    const after = await engine.generate(request, { work });
    expect(after).toMatchObject({ ids: [], finish_reason: "length", timed_out: true });
  });

  test("counts what runs in its request's context, not what others take", async () => {
    const { engine } = toyEngine({ slots: 2 }, options);
    const work = new WorkBudget(1000 * STEP_MS);
    const other = new WorkBudget(15 * STEP_MS);
    const [own, cut] = await Promise.all([
      engine.generate(request, { work }),
      engine.generate({ ...request, prompt_ids: [4, 5] }, { work: other }),
    ]);
    expect(own.ids).toHaveLength(40);
    expect(own.timed_out).toBeUndefined();
    expect(cut.ids.length).toBeGreaterThan(0);
  });

  test("refuses what has no part to give, and leaves its slot", async () => {
    const { engine } = toyEngine({}, options);
    const texts = Array.from({ length: 40 }, (_, i) => [1 + (i % 9), 2, 3]);
    const whole = await engine.embed(texts, { work: new WorkBudget(10_000 * STEP_MS) });
    expect(whole).toHaveLength(40);
    const work = new WorkBudget(3 * STEP_MS);
    await expect(engine.embed(texts, { work })).rejects.toMatchObject({
      code: "bad_request",
      message:
        "it takes more than the 0.03 s that this server computes for one request: send fewer texts at a time",
    });
    expect(engine.stats().busy).toBe(0);
  });
});
