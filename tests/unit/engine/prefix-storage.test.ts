import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { LocalEngine } from "../../../src/engine/create-engine.ts";
import { prefixStorage } from "../../../src/engine/prefix-storage.ts";
import { Scheduler } from "../../../src/engine/scheduler.ts";
import { GrammarCompiler } from "../../../src/grammar/grammar-compiler.ts";
import { Sha256 } from "../../../src/pack/sha256-pieces.ts";
import { nextTask, toyEngine } from "./toy-engine.ts";
import { ToyRunner, toyGreedy } from "./toy-runner.ts";
import { toyTokenizer } from "./toy-tokenizer.ts";

const greedy = { temperature: 0, ignore_eos: true } as const;
const SIZES = { ctx: 256, maxRows: 16, slots: 2 };
const prompt = Array.from({ length: 70 }, (_, i) => 1 + ((i * 13) % 60));

async function saved(engine: LocalEngine, ids: readonly number[]) {
  const pieces: Uint8Array[] = [];
  const tokens = await engine.prefixes.save({ ids }, (piece) => pieces.push(piece.slice()));
  return { tokens, pieces };
}

/** The same bytes in pieces of another size. */
function* cut(pieces: readonly Uint8Array[], size: number): Generator<Uint8Array> {
  const all = new Uint8Array(Buffer.concat(pieces));
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
}

describe("a finished turn", () => {
  test("is saved from the cache as the bytes that saveSnapshot() gives, and nothing is computed", async () => {
    const { engine, runner } = toyEngine(SIZES);
    const { ids } = await engine.generate({ prompt_ids: prompt, max_tokens: 9, ...greedy });
    const batches = runner.batches.length;
    const turn = [...prompt, ...ids];
    const { tokens, pieces } = await saved(engine, turn);
    // The last token was run by nobody.
    expect(tokens).toBe(turn.length - 1);
    expect(engine.prefixes.held({ ids: turn })).toBe(turn.length - 1);
    expect(runner.batches).toHaveLength(batches);
    expect(new Uint8Array(Buffer.concat(pieces))).toEqual(
      await engine.saveSnapshot({ prompt_ids: turn.slice(0, -1) }),
    );
  });

  test.each([1, 7, 100_000])(
    "comes back from pieces of %i bytes, and the next turn goes on from it",
    async (size) => {
      const first = toyEngine(SIZES);
      const { ids } = await first.engine.generate({
        prompt_ids: prompt,
        max_tokens: 9,
        ...greedy,
      });
      const turn = [...prompt, ...ids];
      const { pieces } = await saved(first.engine, turn);
      const { engine, runner } = toyEngine(SIZES);
      expect(await engine.prefixes.restore({}, () => cut(pieces, size))).toBe(turn.length - 1);
      const next = [...turn, 5, 6];
      const result = await engine.generate({ prompt_ids: next, max_tokens: 4, ...greedy });
      expect(result.ids).toEqual(toyGreedy(next, 4));
      expect(result.timings.cached_n).toBe(turn.length - 1);
      expect(runner.batches[0]?.ids).toEqual([turn.at(-1), 5, 6]);
    },
  );

  test.each([
    ["at once", false],
    ["later", true],
  ])("is saved, read %s, while others run, whose tokens are the same", async (_, async) => {
    const { engine } = toyEngine({ ...SIZES, async });
    const { ids } = await engine.generate({ prompt_ids: prompt, max_tokens: 9, ...greedy });
    const other = engine.generate({ prompt_ids: [3, 1, 2], max_tokens: 20, ...greedy });
    const { tokens } = await saved(engine, [...prompt, ...ids]);
    expect(tokens).toBe(prompt.length + 8);
    expect((await other).ids).toEqual(toyGreedy([3, 1, 2], 20));
  });

  test("that is evicted while it is saved gives 0", async () => {
    const runner = new ToyRunner({ ...SIZES, slots: 1 });
    const runtime = { yieldTask: nextTask, now: () => 0, randomSeed: () => 1 };
    const tokenizer = toyTokenizer();
    const scheduler = new Scheduler(runner, tokenizer, runtime, {
      grammars: new GrammarCompiler(tokenizer),
      ...{ maxQueue: 4, prefillRows: 16, contextShift: false, speculation: undefined },
      ...{ fingerprint: "fp", stepMs: 1, snapshotBytes: 0 },
    });
    const first = { prompt_ids: prompt, max_tokens: 2, ...greedy };
    await scheduler.submit(first, undefined).result;
    const prefixes = prefixStorage(scheduler, runtime, "fp", 1);
    let other: Promise<unknown> | undefined;
    const tokens = await prefixes.save({ ids: prompt }, () => {
      const request = { prompt_ids: [9, 9], max_tokens: 30, ...greedy };
      other ??= scheduler.submit(request, undefined).result;
    });
    expect(tokens).toBe(0);
    await other;
  });

  test("waits for no slot: nothing is restored while all are in use", async () => {
    const { engine } = toyEngine({ ...SIZES, slots: 1 });
    const running = engine.generate({ prompt_ids: prompt, max_tokens: 9, ...greedy });
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    const read = (): never => {
      throw new Error("read");
    };
    expect(await engine.prefixes.restore({}, read)).toBe(0);
    await running;
    await expect(engine.prefixes.restore({}, read)).rejects.toThrow("read");
  });
});

describe("what is refused leaves a slot empty", () => {
  const damaged: [string, (pieces: Uint8Array[]) => void, string][] = [
    ["changed", (pieces) => void (pieces[1]![3]! ^= 1), "corrupt"],
    ["cut off", (pieces) => void pieces.pop(), "bad_format"],
    ["longer", (pieces) => void pieces.push(new Uint8Array(1)), "bad_format"],
    ["no snapshot", (pieces) => void pieces.unshift(new Uint8Array(20)), "bad_format"],
    ["of a newer version", (pieces) => void (pieces[0]![7] = 9), "unsupported"],
  ];
  test.each(damaged)("%s", async (_, damage, code) => {
    const first = toyEngine(SIZES);
    await first.engine.generate({ prompt_ids: prompt, max_tokens: 2, ...greedy });
    const { pieces } = await saved(first.engine, prompt);
    damage(pieces);
    const { engine } = toyEngine({ ...SIZES, slots: 1 });
    await engine.generate({ prompt_ids: prompt, max_tokens: 2, ...greedy });
    await expect(engine.prefixes.restore({}, () => pieces)).rejects.toMatchObject({ code });
    expect(engine.prefixes.held({ ids: prompt })).toBe(0);
    const { ids } = await engine.generate({ prompt_ids: prompt, max_tokens: 4, ...greedy });
    expect(ids).toEqual(toyGreedy(prompt, 4));
  });
});

test("a hash of pieces is that of the whole, wherever they are cut", () => {
  for (let length = 0; length < 300; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255);
    const hash = new Sha256();
    for (let at = 0; at < length; at += 1 + (length % 71)) {
      hash.update(bytes.subarray(at, at + 1 + (length % 71)));
    }
    const expected = createHash("sha256").update(bytes).digest("hex");
    expect(Buffer.from(hash.digest()).toString("hex")).toBe(expected);
  }
});
