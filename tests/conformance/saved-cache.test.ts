/** Keys and values as bytes: another slot goes on from them to the same bits, and they hold nothing else. */
import { describe, expect, test } from "vitest";
import type { KvType, Runner } from "../../src/backends/backend.ts";
import { openCheckpoint } from "../../src/engine/open-checkpoint.ts";
import { planLlama } from "../../src/model/plan.ts";
import { openGoldenModel } from "../support/golden-model.ts";
import { BACKENDS_AND_REFERENCE, type CreateRunner } from "./backends.ts";

const cases: [string, KvType, CreateRunner][] = [
  ...BACKENDS_AND_REFERENCE.flatMap(({ name, create, caches }) =>
    caches.map((kv): [string, KvType, CreateRunner] => [name, kv, create]),
  ),
];

const LAYERS = 4;
const VOCAB = 512;

/** Ends within a tile of 8 positions, and beyond a block of 64. */
const LENGTHS = [1, 13, 71];

function text(length: number, seed: number): number[] {
  return Array.from({ length }, (_, i) => (seed * 31 + i * i * 7 + i) % VOCAB);
}

async function run(runner: Runner, slot: number, ids: number[], start = 0): Promise<number[]> {
  const spans = [{ slot, start, count: ids.length }];
  await runner.forward({ ids, spans, logitsRows: [ids.length - 1] });
  return [...runner.logits(0)];
}

describe.each(cases)("%s, a cache of %s", (_, kv, create) => {
  const open = async (): Promise<Runner> => {
    const checkpoint = await openGoldenModel("gqa");
    const opened = await openCheckpoint(checkpoint, { quantization: "none", profile: "default" });
    const sizes = { ctx: 96, slots: 2, maxRows: 96, maxLogits: 1, kv } as const;
    return create(planLlama(opened.config), opened.entries, sizes);
  };
  const save = (runner: Runner, slot: number, length: number): Promise<Uint8Array[]> =>
    Promise.all(
      Array.from({ length: LAYERS }, (_, layer) => runner.saveCache(slot, layer, length)),
    );

  test.each(LENGTHS)("%i positions", async (length) => {
    const runner = await open();
    await run(runner, 0, text(length, 1));
    const saved = await save(runner, 0, length);

    const other = await open();
    await run(other, 1, text(90, 2));
    for (const [layer, bytes] of saved.entries()) {
      // As a part of a file is: of any kind, at any offset.
      const part = Buffer.concat([Buffer.alloc(1), bytes]).subarray(1);
      other.loadCache(1, layer, length, layer % 2 === 0 ? bytes : part);
    }
    expect(await run(other, 1, [5], length)).toEqual(await run(runner, 0, [5], length));

    // Of a slot that held a longer text.
    await run(other, 0, text(90, 3));
    await run(other, 0, text(length, 1));
    expect(await save(other, 0, length)).toEqual(saved);
    expect(() => other.loadCache(1, 0, length + 1, saved[0])).toThrow("saved cache");
  });
});
