import { expect, test } from "vitest";
import { createSharedLoad } from "../../../src/platform/cloudflare/shared-load.ts";

/** A clock whose timers run when it is moved. */
function manualTime() {
  let ms = 0;
  const timers = new Set<{ at: number; run: () => void }>();
  return {
    now: () => ms,
    after(delay: number, run: () => void) {
      const timer = { at: ms + delay, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    pending: () => timers.size,
    async move(by: number) {
      ms += by;
      for (const timer of [...timers]) {
        if (timer.at > ms) continue;
        timers.delete(timer);
        timer.run();
      }
      await settled();
    },
  };
}

/** Lets promise callbacks run, several deep. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("all who ask while it loads share one load", async () => {
  const load = createSharedLoad<string>();
  let starts = 0;
  const { promise, resolve } = withResolvers<string>();
  const start = (): Promise<string> => {
    starts++;
    return promise;
  };
  const all = [load.get(start), load.get(start)];
  expect(load.result).toBeUndefined();
  resolve("model");
  expect(await Promise.all(all)).toEqual(["model", "model"]);
  expect(await load.get(start)).toBe("model");
  expect(load.result).toBe("model");
  expect(starts).toBe(1);
});

test("a failure is told to all who wait, and the next request loads again", async () => {
  const load = createSharedLoad<string>();
  const failing = (): Promise<string> => Promise.reject(new Error("no bucket"));
  const both = await Promise.allSettled([load.get(failing), load.get(failing)]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(load.error).toEqual(new Error("no bucket"));
  const again = load.get(async () => "model");
  expect(load.error, "until one succeeds").toEqual(new Error("no bucket"));
  expect(await again).toBe("model");
  expect(load.error).toBeUndefined();
});

test("who comes while a load runs that fails gets what one begun later finds", async () => {
  const load = createSharedLoad<string>();
  const first = load.get(() => Promise.reject(new Error("damaged")));
  const second = load.get(async () => "model");
  await expect(first).rejects.toThrow("damaged");
  expect(await second).toBe("model");
});

test("a load that stands still is started again by whoever waits for it", async () => {
  const time = manualTime();
  const load = createSharedLoad<string>(time.now, time.after);
  // The first request's client goes away, and with it everything that its request had begun.
  let starts = 0;
  const start = (): Promise<string> =>
    starts++ === 0 ? new Promise(() => {}) : Promise.resolve("model");
  const waiting = [load.get(start), load.get(start)];
  await time.move(39_000);
  expect(starts).toBe(1);
  await time.move(2_000);
  expect(await Promise.all(waiting)).toEqual(["model", "model"]);
  expect(starts).toBe(2);
});

test("a slow load that goes on is left alone", async () => {
  const time = manualTime();
  const load = createSharedLoad<string>(time.now, time.after);
  let starts = 0;
  let report: (fraction: number) => void = () => {};
  const { promise, resolve } = withResolvers<string>();
  const waiting = load.get((onProgress) => {
    starts++;
    report = onProgress;
    return promise;
  });
  for (let i = 1; i <= 5; i++) {
    await time.move(30_000);
    report(i / 10);
    expect(load.progress).toBe(i / 10);
  }
  resolve("model");
  expect(await waiting).toBe("model");
  expect(starts).toBe(1);
});

test("no timer is left behind", async () => {
  const time = manualTime();
  const load = createSharedLoad<string>(time.now, time.after);
  await load.get(async () => "model");
  await load.get(async () => "other");
  expect(time.pending()).toBe(0);
});

/** Promise.withResolvers, which Node 20 lacks. */
function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

test("a result that is over is let go of, and the next request loads anew", async () => {
  let loads = 0;
  const over = new Set<number>();
  const load = createSharedLoad<number>(undefined, undefined, (result) => over.has(result));
  const start = async (): Promise<number> => ++loads;
  expect([await load.get(start), await load.get(start)]).toEqual([1, 1]);
  over.add(1);
  expect(load.result).toBeUndefined();
  expect(await Promise.all([load.get(start), load.get(start)])).toEqual([2, 2]);
  expect(load.result).toBe(2);
});
