import { describe, expect, test } from "vitest";
import type { KvType, Runner } from "../../src/backends/backend.ts";
import { tokenLogprob } from "../../src/generate/logprobs.ts";
import { perplexity, wholeRunner } from "../../src/generate/perplexity.ts";
import type { Profile, Quantization } from "../../src/pack/form-choice.ts";
import { wasm } from "../conformance/backends.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import { type GoldenChat, golden, modelPath, openSmolLm2 } from "../support/smollm2.ts";

/** Above this margin of the golden's first two, the arg max must agree: below, rounding decides. */
const DECISIVE_MARGIN = 0.7;

const MINUTES = 60_000;

interface Comparison {
  /** Mean over the steps, over the golden's top 20 and the rest as one class. */
  kl: number;
  agreed: number;
  /** Steps with a decisive margin whose arg max differs. */
  wrong: number[];
}

async function forward(runner: Runner, ids: number[], start: number): Promise<void> {
  for (let at = 0; at < ids.length; at += runner.maxRows) {
    const part = ids.slice(at, at + runner.maxRows);
    const last = at + part.length === ids.length;
    await runner.forward({
      ids: part,
      spans: [{ slot: 0, start: start + at, count: part.length }],
      logitsRows: last ? [part.length - 1] : [],
    });
  }
}

/** Follows the golden's own ids and compares each step's distribution. */
async function compare(runner: Runner, chat: GoldenChat): Promise<Comparison> {
  const result: Comparison = { kl: 0, agreed: 0, wrong: [] };
  await forward(runner, chat.prompt_ids, 0);
  for (const [i, step] of chat.steps.entries()) {
    const logits = runner.logits(0);
    let restGolden = 1;
    let restOurs = 1;
    step.top_ids.forEach((id, j) => {
      const p = Math.exp(step.logprobs[j]);
      const ours = tokenLogprob(logits, id);
      result.kl += p * (step.logprobs[j] - ours);
      restGolden -= p;
      restOurs -= Math.exp(ours);
    });
    if (restGolden > 1e-6)
      result.kl += restGolden * Math.log(restGolden / Math.max(restOurs, 1e-9));
    if (runner.argmax(0) === chat.greedy_ids[i]) result.agreed++;
    else if (step.margin > DECISIVE_MARGIN) result.wrong.push(i);
    await forward(runner, [chat.greedy_ids[i]], chat.prompt_ids.length + i);
  }
  result.kl /= chat.steps.length;
  return result;
}

interface Form {
  quantization: Quantization;
  profile: Profile;
  kv: KvType;
  maxKl: number;
  /** Share of steps whose arg max is the golden's. */
  minAgreement: number;
  /** Share by which the perplexity may differ. */
  maxPerplexity: number;
}

const FORMS: [string, Form][] = [
  [
    "source weights in f32",
    {
      quantization: "none",
      profile: "default",
      kv: "f32",
      maxKl: 1e-4,
      minAgreement: 0.99,
      maxPerplexity: 0.001,
    },
  ],
  [
    "the default pack",
    {
      quantization: "auto",
      profile: "default",
      kv: "int16",
      maxKl: 0.006,
      minAgreement: 0.96,
      maxPerplexity: 0.01,
    },
  ],
  [
    "the small pack",
    {
      quantization: "auto",
      profile: "small",
      kv: "int8",
      maxKl: 0.01,
      minAgreement: 0.94,
      maxPerplexity: 0.015,
    },
  ],
];

const build = BUILDS.at(-1)!; // the same bits on each: the fastest will do

describe.skipIf(!modelPath)("SmolLM2-135M-Instruct against transformers in f32", () => {
  test.each(FORMS)(
    "%s: next-token distributions, choices and perplexity",
    async (name, form) => {
      const { runner } = await openSmolLm2(wasm(build), { ...form, ctx: 1024, maxLogits: 64 });
      let agreed = 0;
      let steps = 0;
      const kls: number[] = [];
      for (const chat of golden.chats) {
        const found = await compare(runner, chat);
        expect(found.wrong, `${chat.messages.at(-1)?.content}: decisive steps`).toEqual([]);
        kls.push(found.kl);
        agreed += found.agreed;
        steps += chat.steps.length;
      }
      const { ids, window, ppl } = golden.perplexity;
      const found = await perplexity(wholeRunner(runner), ids, { ctx: window });
      const difference = found.ppl / ppl - 1;
      console.log(
        `${name}: mean KL ${kls.map((kl) => kl.toFixed(4)).join(" ")}, agreement ` +
          `${((100 * agreed) / steps).toFixed(1)} %, perplexity ${found.ppl.toFixed(4)} ` +
          `(${(100 * difference).toFixed(2)} %)`,
      );
      expect(Math.max(...kls)).toBeLessThanOrEqual(form.maxKl);
      expect(agreed / steps).toBeGreaterThanOrEqual(form.minAgreement);
      expect(Math.abs(difference)).toBeLessThanOrEqual(form.maxPerplexity);
    },
    10 * MINUTES,
  );
});
