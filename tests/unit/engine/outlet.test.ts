import { expect, test } from "vitest";
import { Outlet } from "../../../src/engine/outlet.ts";

test("a reader that comes later does not overtake those that wait", async () => {
  const outlet = new Outlet();
  const iterator = outlet[Symbol.asyncIterator]();
  const first = iterator.next();
  outlet.push({ token: 1, text: "" });
  // Not delivered yet: that happens in the consumer's own context.
  const second = iterator.next();
  outlet.push({ token: 2, text: "" });
  outlet.deliver();
  expect([(await first).value?.token, (await second).value?.token]).toEqual([1, 2]);
});

test("all iterators are one", () => {
  const outlet = new Outlet();
  expect(outlet[Symbol.asyncIterator]()).toBe(outlet[Symbol.asyncIterator]());
});

test("the first end counts", async () => {
  const outlet = new Outlet();
  outlet.fail(new Error("first"));
  outlet.fail(new Error("second"));
  outlet.deliver();
  await expect(outlet.result).rejects.toThrow("first");
});

test("an error is thrown after the parts that came before it", async () => {
  const outlet = new Outlet();
  const iterator = outlet[Symbol.asyncIterator]();
  outlet.push({ token: 7, text: "" });
  outlet.fail(new Error("broken"));
  outlet.deliver();
  expect((await iterator.next()).value?.token).toBe(7);
  await expect(iterator.next()).rejects.toThrow("broken");
  expect((await iterator.next()).done).toBe(true);
});
