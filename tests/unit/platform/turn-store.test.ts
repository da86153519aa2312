/** Turns in the SQLite of a real Durable Object. */
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "../../../src/cli/workerd.ts";
import type { TurnStep } from "../../support/turn-store-object.ts";

let miniflare: Miniflare;
beforeAll(async () => {
  miniflare = new Miniflare({
    modules: await bundle("tests/support/turn-store-object.ts"),
    compatibilityDate: "2026-04-01",
    durableObjects: { TURNS: { className: "TurnStoreObject", useSQLite: true } },
    cf: false,
  });
}, 60_000);
afterAll(() => miniflare.dispose());

let objects = 0;
const object = () => {
  const name = `object-${objects++}`;
  return async (
    steps: TurnStep[],
    most = 10_000_000,
  ): Promise<{ told: unknown[]; rows: number }> => {
    const namespace = await miniflare.getDurableObjectNamespace("TURNS");
    const stub = namespace.get(namespace.idFromName(name));
    const body = JSON.stringify({ most, steps });
    const response = await stub.fetch("https://turns/", { method: "POST", body });
    return (await response.json()) as { told: unknown[]; rows: number };
  };
};

const ids = (count: number, last = 5): number[] => [...Array(count - 1).fill(1), last];

test("a turn is found by what a text has of its beginning, also by the next object", async () => {
  const run = object();
  await run([{ save: [1, 2, 3, 4], pieces: [10, 20], tokens: 3 }]);
  const { told } = await run([
    { find: [1, 2, 3, 4, 5] },
    { find: [1, 2, 9] },
    { find: [9] },
    { find: [1, 2, 3], key: "another model" },
    { read: [1, 2, 3, 4] },
  ]);
  expect(told).toEqual([3, 2, 0, 0, [30, 1, true]]);
});

test("rows stay far below SQLite's 2 MB, and come back whole", async () => {
  const run = object();
  const pieces = [100, 3_000_000, 700_000, 1_600_000, 7];
  const { told } = await run([{ save: ids(9), pieces, tokens: 9 }, { read: ids(9) }]);
  expect(told).toEqual([[5_300_107, 21, true]]);
});

test("a conversation that goes on takes the place of what it goes on from", async () => {
  const run = object();
  const { told, rows } = await run([
    { save: [1, 2, 3], pieces: [10], tokens: 3 },
    { save: [1, 2, 7], pieces: [10], tokens: 3 },
    { save: [1, 2, 3], pieces: [10], tokens: 3, key: "other" },
    { save: [1, 2, 3, 4], pieces: [20], tokens: 4 },
    { count: true },
  ]);
  expect(told).toEqual([[3, 40]]);
  expect(rows).toBe(3);
});

test("what is used least goes first when there are too many bytes", async () => {
  const run = object();
  await run([
    { save: [1, 1], pieces: [40], tokens: 2 },
    { save: [2, 1], pieces: [40], tokens: 2 },
    { read: [1, 1] },
  ]);
  const { told, rows } = await run(
    [
      { save: [3, 1], pieces: [40], tokens: 2 },
      { find: [1, 1] },
      { find: [2, 1] },
      { find: [3, 1] },
      { save: [4, 1], pieces: [101], tokens: 2 },
      { find: [4, 1] },
      { count: true },
    ],
    100,
  );
  expect(told).toEqual([2, 0, 2, 0, [2, 80]]);
  expect(rows).toBe(2);
});

test("what was not written to its end, or is dropped, leaves nothing behind", async () => {
  const run = object();
  const half = await run([{ save: ids(5), pieces: [2_000_000] }, { find: ids(5) }]);
  expect(half).toEqual({ told: [0], rows: 7 });
  expect((await run([{ count: true }])).rows).toBe(0);
  const { told, rows } = await run([
    { save: ids(5), pieces: [2_000_000], tokens: 0 },
    { save: ids(6), pieces: [10], tokens: 6 },
    { drop: ids(6) },
    { find: ids(6) },
  ]);
  expect([told, rows]).toEqual([[0], 0]);
});
