import { expect, test } from "vitest";
import { toBytes, toDuration } from "../../../../src/playground/tab/amounts.ts";
import { TransferMeter } from "../../../../src/playground/tab/transfer-progress.ts";

test("the rate is that of the last seconds, and counts only what was fetched", () => {
  let now = 0;
  const meter = new TransferMeter(() => now);
  // 600 were here before.
  expect(meter.at(600, 2000)).toEqual({ loaded: 600, total: 2000 });
  const steps = [100, 100, 100];
  for (const bytes of steps) {
    now += 1000;
    meter.add(bytes);
  }
  expect(meter.at(900, 2000)).toEqual({
    loaded: 900,
    total: 2000,
    bytesPerSecond: 100,
    remainingMs: 11_000,
  });
  for (let i = 0; i < 20; i++) {
    now += 1000;
    meter.add(10);
    meter.at(0, 2000);
  }
  expect(meter.at(1900, 2000)).toMatchObject({ bytesPerSecond: 10, remainingMs: 10_000 });
});

test("a line that stands still has a rate of nothing, and no end", () => {
  let now = 0;
  const meter = new TransferMeter(() => now);
  now = 2000;
  expect(meter.at(0, 10)).toEqual({ loaded: 0, total: 10, bytesPerSecond: 0 });
});

test("amounts read as people say them", () => {
  expect([0, 999, 1000, 98_400_000, 999_600, 2.5e9].map(toBytes)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "98.4 MB",
    "1.0 MB",
    "2.5 GB",
  ]);
  expect([10, 4000, 89_000, 120_000, 3_900_000].map(toDuration)).toEqual([
    "1 s",
    "4 s",
    "89 s",
    "2 min",
    "1 h 5 min",
  ]);
});
