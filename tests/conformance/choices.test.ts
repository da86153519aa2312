/** What a runner that chooses by itself gives is what its logits say, however many tokens it runs ahead. */
import { describe, expect, test } from "vitest";
import type { Batch, Chooser, RowChoice, Runner } from "../../src/backends/backend.ts";
import { argmaxOf, drawToken, largestLogits, TOTAL_ERROR } from "../../src/backends/row-choices.ts";
import type { GenerateRequest } from "../../src/generate/request.ts";
import { openTiny } from "../support/tiny-gguf.ts";
import { engineOver } from "../unit/engine/toy-engine.ts";
import { toyTokenizer } from "../unit/engine/toy-tokenizer.ts";
import { BACKENDS_AND_REFERENCE } from "./backends.ts";

/** Those that choose; the others are the wasm kernels, whose logits lie at hand. */
const cases = BACKENDS_AND_REFERENCE.filter(({ name }) => !name.startsWith("wasm")).map(
  ({ name, create }) => [name, create] as const,
);
const VOCAB = 192;
const PROMPTS = [9, 1, 4].map((length, salt) =>
  Array.from({ length }, (_, i) => (i * 7919 + salt * 101 + 13) % VOCAB),
);

const draw = (index: number, temperature = 1.3): RowChoice & { kind: "draw" } => {
  return { kind: "draw", temperature, seed: 0x1234_5678_9abcn, index };
};

function chooserOf({ chooser }: Runner): Chooser {
  if (chooser === undefined) throw new Error("it does not choose");
  return chooser;
}

/** All prompts but their last tokens are in the slots of their numbers; gives the batch of these. */
async function prompted(runner: Runner): Promise<Batch> {
  for (const [slot, prompt] of PROMPTS.entries()) {
    const ids = prompt.slice(0, -1);
    if (ids.length === 0) continue;
    await runner.forward({ ids, spans: [{ slot, start: 0, count: ids.length }], logitsRows: [] });
  }
  return {
    ids: PROMPTS.map((prompt) => prompt[prompt.length - 1]),
    spans: PROMPTS.map(({ length }, slot) => ({ slot, start: length - 1, count: 1 })),
    logitsRows: PROMPTS.map((_, row) => row),
  };
}

describe.each(cases)("%s", (_, create) => {
  const open = (): Promise<Runner> =>
    openTiny("MIX_Q4_1_Q8_0.gguf", create, {
      ...{ quantization: "auto", kv: "f32", slots: 3, maxRows: 16 },
    });

  test("gives what its logits say, each row what it is asked", async () => {
    const runner = await open();
    const chooser = chooserOf(runner);
    const batch = await prompted(runner);
    await runner.forward(batch);
    const logits = PROMPTS.map((_, i) => runner.logits(i).slice());
    const largest = {
      kind: "largest",
      count: Math.min(7, chooser.most),
      temperature: 0.7,
    } as const;

    await runner.forward({ ...batch, choices: [{ kind: "argmax" }, draw(3), largest] });
    expect([...Array.from(chooser.chosen(0))]).toEqual([argmaxOf(logits[0])]);
    expect([...Array.from(chooser.chosen(1))]).toEqual([drawToken(logits[1], draw(3))]);
    const expected = largestLogits(logits[2], largest);
    const found = chooser.largest(2);
    expect([...Array.from(found.ids)]).toEqual([...Array.from(expected.ids)]);
    expect(found.logits).toEqual(expected.logits);
    const total = expected.total ?? 0;
    expect(Math.abs((found.total ?? total) - total)).toBeLessThan(TOTAL_ERROR * total);

    await runner.forward({ ...batch, choices: [undefined, { ...draw(0), logits: true }, largest] });
    expect(runner.logits(0)).toEqual(logits[0]);
    expect(runner.logits(1)).toEqual(logits[1]);
    expect(chooser.chosen(1)[0]).toBe(drawToken(logits[1], draw(0)));
    expect(() => runner.logits(2)).toThrow("logits 2");
    expect(() => chooser.chosen(0)).toThrow("choice 0");
  });

  test("all of the largest, of as many as it gives", async () => {
    const runner = await open();
    const chooser = chooserOf(runner);
    const batch = await prompted(runner);
    const largest = { kind: "largest", count: chooser.most } as const;
    await runner.forward(batch);
    const expected = PROMPTS.map((_, i) => largestLogits(runner.logits(i), largest));
    await runner.forward({ ...batch, choices: PROMPTS.map(() => largest) });
    for (const [i, { ids, logits }] of expected.entries()) {
      expect([...Array.from(chooser.largest(i).ids)]).toEqual([...Array.from(ids)]);
      expect(chooser.largest(i).logits).toEqual(logits);
    }
  });

  test("runs tokens ahead as one by one, and goes on from its cache", async () => {
    const runner = await open();
    const choicesAt = (n: number): RowChoice[] => [{ kind: "argmax" }, draw(n, 0.8), draw(5 + n)];
    const batch = await prompted(runner);
    const single: number[][] = PROMPTS.map(() => []);
    const next = async (ids: ArrayLike<number>, n: number): Promise<void> => {
      const spans = batch.spans.map((span) => ({ ...span, start: span.start + n }));
      await runner.forward({ ids, spans, logitsRows: batch.logitsRows, choices: choicesAt(n) });
      for (const [i, tokens] of single.entries()) tokens.push(chooserOf(runner).chosen(i)[0]);
    };
    for (let n = 0; n < 12; n++) {
      await next(n === 0 ? batch.ids : single.map((tokens) => tokens[n - 1]), n);
    }

    await prompted(runner);
    // A GPU's number follows from what a token took.
    const ahead = Math.min(11, chooserOf(runner).ahead);
    await runner.forward({ ...batch, choices: choicesAt(0), ahead });
    const found = PROMPTS.map((_, i) => [...Array.from(chooserOf(runner).chosen(i))]);
    expect(found).toEqual(single.map((tokens) => tokens.slice(0, ahead)));
    await next(
      found.map((tokens) => tokens[ahead - 1]),
      ahead,
    );
    for (const tokens of single) expect(tokens[12]).toBe(tokens[ahead]);
  });

  test("gives an engine the tokens that are chosen from its logits", async () => {
    const tokenizer = toyTokenizer(
      Array.from({ length: VOCAB }, (_, id) => `${id},`),
      [],
    );
    const request = (salt: number): GenerateRequest => ({
      prompt_ids: PROMPTS[salt % 3],
      max_tokens: 24,
      seed: salt,
    });
    const requests: GenerateRequest[] = [
      { ...request(0), temperature: 0 },
      { ...request(1), temperature: 0.8, top_p: 0.9 },
      { ...request(2), temperature: 0, frequency_penalty: 0.5 },
      { ...request(3), top_k: 20, repetition_penalty: 1.2 },
      { ...request(4), temperature: 0, stop_ids: [1, 2, 3, 4, 5, 6, 7, 8] },
    ];
    const runner = await open();
    const reading = new Proxy(await open(), {
      get(target, key) {
        if (key === "chooser") return undefined;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const { engine } = engineOver(runner, { tokenizer });
    const { engine: all } = engineOver(reading, { tokenizer });
    for (const one of requests) {
      expect((await engine.generate(one)).ids).toEqual((await all.generate(one)).ids);
    }
    // Drawn by noise: each by its own seed, whatever runs beside it and ahead.
    const draws = [0, 1, 2].map((salt) => ({ ...request(salt), temperature: 1.1 }));
    const together = await Promise.all(draws.map((one) => engine.generate(one)));
    for (const [i, one] of draws.entries()) {
      expect((await engine.generate(one)).ids).toEqual(together[i].ids);
    }
    await Promise.all([engine.dispose(), all.dispose()]);
  });
});
