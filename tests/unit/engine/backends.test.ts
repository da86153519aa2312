/** The engine over the real backends and a tiny model: what the toy model shows, with real caches. */
import { describe, expect, test } from "vitest";
import type { Runner } from "../../../src/backends/backend.ts";
import type { GenerateRequest } from "../../../src/generate/request.ts";
import { reference, wasm } from "../../conformance/backends.ts";
import { BUILDS } from "../../support/kernel-builds.ts";
import { staged } from "../../support/staged.ts";
import { openTiny } from "../../support/tiny-gguf.ts";
import { engineOver } from "./toy-engine.ts";
import { toyTokenizer } from "./toy-tokenizer.ts";

const VOCAB = 192;
const tokenizer = toyTokenizer(
  Array.from({ length: VOCAB }, (_, id) => `${id},`),
  [],
);
const prompt = (length: number, salt: number): number[] =>
  Array.from({ length }, (_, i) => (i * 7919 + salt * 101 + 13) % VOCAB);

const requests: GenerateRequest[] = [
  { prompt_ids: prompt(40, 0), max_tokens: 12, temperature: 0 },
  { prompt_ids: prompt(3, 1), max_tokens: 20, temperature: 1.5, seed: 1 },
  { prompt_ids: prompt(70, 2), max_tokens: 5, top_p: 0.9, seed: 2, top_logprobs: 3 },
  { prompt_ids: prompt(1, 3), max_tokens: 16, temperature: 0, repetition_penalty: 1.3 },
  { prompt_ids: prompt(25, 4), max_tokens: 9, top_k: 20, min_p: 0.01, seed: 3 },
];

const open = (create: typeof reference, slots: number, maxRows: number): Promise<Runner> =>
  openTiny("MIX_Q4_1_Q8_0.gguf", create, { quantization: "auto", kv: "int16", slots, maxRows });

const backends: [string, typeof reference][] = [
  ["reference", reference],
  ...BUILDS.map((build): [string, typeof reference] => [`wasm ${build}`, wasm(build)]),
  ["stages", staged(BUILDS[0], 4)],
];

describe.each(backends)("on %s", (_, create) => {
  test("a request gives the same tokens and log-probabilities alone and in company", async () => {
    const { engine: single } = engineOver(await open(create, 1, 64), { tokenizer });
    const alone = [];
    for (const request of requests) alone.push(await single.generate(request));
    const { engine } = engineOver(await open(create, 4, 16), { tokenizer });
    const together = await Promise.all(requests.map((request) => engine.generate(request)));
    expect(together.map(({ ids, text, logprobs }) => ({ ids, text, logprobs }))).toEqual(
      alone.map(({ ids, text, logprobs }) => ({ ids, text, logprobs })),
    );
    await engine.dispose();
  });

  test("a conversation gives the same tokens from the cache as from the start", async () => {
    const { engine: cached } = engineOver(await open(create, 2, 64), { tokenizer });
    let ids = prompt(30, 5);
    for (let turn = 0; turn < 3; turn++) {
      const request = { prompt_ids: ids, max_tokens: 10, temperature: 0 };
      const again = await cached.generate(request);
      const { engine: fresh } = engineOver(await open(create, 1, 64), { tokenizer });
      expect(again.ids).toEqual((await fresh.generate(request)).ids);
      expect(again.timings.cached_n).toBe(turn === 0 ? 0 : ids.length - 4);
      ids = [...ids, ...again.ids, ...prompt(3, turn)];
    }
  });

  test("what is copied, restored or gone on with gives the tokens of a run from the start", async () => {
    const prompts = [6, 7, 8].map((salt) => [...prompt(75, 9), ...prompt(4, salt)]);
    const ask = (prompt_ids: number[]): GenerateRequest => ({
      ...{ prompt_ids, max_tokens: 10, seed: 4, top_k: 30 },
    });
    const { engine: fresh } = engineOver(await open(create, 1, 64), { tokenizer });
    const snapshot = await fresh.saveSnapshot({ prompt_ids: prompt(75, 9) });
    const { engine: copying } = engineOver(await open(create, 3, 16), { tokenizer });
    const { engine: restoring } = engineOver(await open(create, 1, 64), { tokenizer });
    await restoring.loadSnapshot(snapshot);
    const copied = await Promise.all(prompts.map((ids) => copying.generate(ask(ids))));
    expect(copied.map(({ timings }) => timings.cached_n)).toEqual([0, 75, 75]);
    for (const [i, ids] of prompts.entries()) {
      const alone = engineOver(await open(create, 1, 64), { tokenizer }).engine;
      const whole = await alone.generate(ask(ids));
      expect(copied[i]?.ids).toEqual(whole.ids);
      const restored = await restoring.generate(ask(ids));
      expect(restored.ids).toEqual(whole.ids);
      expect(restored.timings.cached_n).toBe(75);
      const output_ids = whole.ids.slice(0, 3 + i);
      expect((await fresh.generate({ ...ask(ids), output_ids })).ids).toEqual(whole.ids);
    }
  });

  test("tokens that are run ahead, by a draft in another form, change nothing", async () => {
    const { engine: single } = engineOver(await open(create, 1, 64), { tokenizer });
    const alone = [];
    for (const request of requests) alone.push(await single.generate(request));
    const runner = await open(create, 3, 24);
    const draft = await openTiny("MIX_Q4_1_Q8_0.gguf", create, {
      quantization: "q4",
      kv: "int8",
      slots: 3,
    });
    const { info } = single;
    // Batches of the model all take 100 ms and the draft's 1 ms, and it passes for a small one: whatever
    // may come is run ahead.
    const weights = draft.memory.weights / 100;
    Object.defineProperty(draft, "memory", { value: { ...draft.memory, weights } });
    let ms = 0;
    for (const [one, takes] of [
      [runner, 100],
      [draft, 1],
    ] as const) {
      const forward = one.forward.bind(one);
      one.forward = (batch) => {
        ms += takes;
        return forward(batch);
      };
    }
    const { engine } = engineOver(runner, {
      tokenizer,
      runtime: { now: () => ms },
      speculate: { draft: { runner: draft, tokenizer, info } },
    });
    const together = await Promise.all(requests.map((request) => engine.generate(request)));
    expect(together.map(({ ids, text, logprobs }) => ({ ids, text, logprobs }))).toEqual(
      alone.map(({ ids, text, logprobs }) => ({ ids, text, logprobs })),
    );
    // A longer one by itself: in company, more rows cost as much as they bring.
    const longer = { prompt_ids: prompt(20, 1), max_tokens: 60, temperature: 0, ignore_eos: true };
    expect((await engine.generate(longer)).ids).toEqual((await single.generate(longer)).ids);
    const { draft_tokens, accepted_draft_tokens } = engine.stats();
    expect(accepted_draft_tokens).toBeGreaterThan(0);
    expect(draft_tokens).toBeGreaterThan(accepted_draft_tokens);
    await engine.dispose();
  });

  test("after a context shift comes what comes after a prompt of the tokens that are left", async () => {
    const sizes = { quantization: "auto", kv: "int16", slots: 1, maxRows: 16, ctx: 32 } as const;
    const runner = await openTiny("MIX_Q4_1_Q8_0.gguf", create, sizes);
    const { engine } = engineOver(runner, { tokenizer, contextShift: true });
    const prompt_ids = prompt(20, 6);
    const { ids } = await engine.generate({
      prompt_ids,
      max_tokens: 60,
      temperature: 0,
      n_keep: 4,
    });
    expect(engine.stats().context_shifts).toBeGreaterThan(2);

    const { engine: fresh } = engineOver(await open(create, 1, 64), { tokenizer });
    let window: number[] = [...prompt_ids];
    for (const token of ids) {
      const next = await fresh.generate({ prompt_ids: window, max_tokens: 1, temperature: 0 });
      expect(next.ids).toEqual([token]);
      if (window.length === 32) window = [...window.slice(0, 4), ...window.slice(4 + 14)];
      window.push(token);
    }
  });
});
