import { expect, test } from "vitest";
import { Dependencies, SHARED, whole } from "../../../../src/backends/wasm/threads/dependencies.ts";

test("a barrier comes before what reads or writes another thread's part, and only there", () => {
  const steps = new Dependencies();
  const panels = { buffer: "qkv", from: 0, to: 96, division: "panels" };
  expect(steps.next([], [panels]), "nothing came before").toBe(false);
  expect(steps.next([panels], [panels]), "its own part").toBe(false);
  const heads = { buffer: "qkv", from: 0, to: 64, division: "heads" };
  expect(steps.next([], [heads]), "written by panels, divided by heads").toBe(true);
  expect(steps.next([heads], [whole("att", "heads")]), "by heads again").toBe(false);
  const values = { buffer: "qkv", from: 64, to: 96, division: "values" };
  expect(steps.next([values], []), "other columns, before the last barrier").toBe(false);
  expect(steps.next([whole("att", SHARED)], []), "read by all").toBe(true);
  expect(steps.next([whole("att", SHARED)], []), "read again").toBe(false);
  expect(steps.next([], [whole("att", "heads")]), "written while others read").toBe(true);
  expect(steps.next([], [whole("att", SHARED)]), "written by all").toBe(true);
  expect(steps.next([], [whole("att", SHARED)]), "and again").toBe(true);
});
