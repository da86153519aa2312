import { expect, test } from "vitest";
import { timerSleep } from "../../../src/sources/sleep.ts";

test("a sleep ends by itself", async () => {
  await expect(timerSleep(1)).resolves.toBeUndefined();
});

test("a sleep ends at once when its signal fires, or has fired", async () => {
  const controller = new AbortController();
  const sleeping = timerSleep(2 ** 30, controller.signal);
  controller.abort("why");
  const expected = { name: "PronkError", code: "aborted", cause: "why" };
  await expect(sleeping).rejects.toMatchObject(expected);
  await expect(timerSleep(2 ** 30, controller.signal)).rejects.toMatchObject(expected);
});
