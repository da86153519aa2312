/** Hidden states that nobody looks at are not read back, and hinder no faster path. */
import { expect, test } from "vitest";
import { planLlama } from "../../src/model/plan.ts";
import { BACKENDS } from "../conformance/backends.ts";
import { smallLlama } from "../support/small-llama.ts";

test("taps are called only in batches that are looked at, to the same logits", async () => {
  const { config, entries } = smallLlama("f32", { num_hidden_layers: 1 });
  const plan = planLlama(config, { hiddenStates: true, attentions: true });
  const shown: string[] = [];
  let isLookedAt = true;
  const { create } = BACKENDS[0]!;
  const runner = await create(plan, entries, {
    ctx: 32,
    slots: 1,
    maxRows: 16,
    maxLogits: 4,
    kv: "f32",
    masks: true,
    tap: ({ name }) => void shown.push(name),
    isTapped: () => isLookedAt,
  });
  const logitsOf = async (count: number, start: number): Promise<Float32Array> => {
    const ids = Array.from({ length: count }, (_, i) => ((start + i) * 7) % 64);
    const spans = [{ slot: 0, start, count, ...(isLookedAt && { probabilities: true }) }];
    await runner.forward({ ids, spans, logitsRows: [count - 1] });
    return runner.logits(0).slice();
  };
  const found: Float32Array[] = [];
  for (const look of [true, false]) {
    isLookedAt = look;
    for (const [count, start] of [
      [12, 0],
      [1, 12],
    ] as const) {
      const before = shown.length;
      found.push(await logitsOf(count, start));
      const names = look ? ["hidden_states.0", "attentions.0", "hidden_states.1"] : [];
      expect(shown.slice(before)).toEqual(names);
    }
  }
  for (const [i, logits] of found.slice(2).entries()) {
    const worst = logits.reduce((most, x, at) => Math.max(most, Math.abs(x - found[i]![at]!)), 0);
    expect(worst).toBeLessThan(1e-5);
  }
});
