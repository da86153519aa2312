import { describe, expect, test } from "vitest";
import type { Runner } from "../../src/backends/backend.ts";
import { BACKENDS_AND_REFERENCE } from "../conformance/backends.ts";
import { goldenGgufs, openTiny } from "../support/tiny-gguf.ts";

const backends = BACKENDS_AND_REFERENCE.map(({ name, create }) => [name, create] as const);

async function greedy(runner: Runner, prompt: number[], length: number): Promise<number[]> {
  const ids = [...prompt];
  for (let start = 0; ids.length < length; ) {
    const count = ids.length - start;
    await runner.forward({
      ids: ids.slice(start),
      spans: [{ slot: 0, start, count }],
      logitsRows: [count - 1],
    });
    start = ids.length;
    ids.push(runner.argmax(0));
  }
  return ids;
}

describe.each(backends)("%s, source weights in f32", (_, create) => {
  test.each(goldenGgufs.map((g) => [g.name, g] as const))(
    "%s gives transformers' logits and greedy ids",
    async (_, golden) => {
      const runner = await openTiny(golden.file, create, { quantization: "none", kv: "f32" });
      const { input_ids: ids, logits } = golden;
      const rows = logits.map((_, i) => ids.length - logits.length + i);
      await runner.forward({
        ids,
        spans: [{ slot: 0, start: 0, count: ids.length }],
        logitsRows: rows,
      });
      logits.forEach((expected, i) => {
        const found = runner.logits(i);
        expect(found.length).toBe(expected.length);
        expected.forEach((value, id) => {
          expect(Math.abs(found[id] - value)).toBeLessThanOrEqual(5e-4 + 1e-4 * Math.abs(value));
        });
      });
      const prompt = golden.greedy.slice(0, golden.greedy_prompt_len);
      expect(await greedy(runner, prompt, golden.greedy.length)).toEqual(golden.greedy);
    },
  );
});
