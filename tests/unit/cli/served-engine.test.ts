import { expect, test } from "vitest";
import { createServedEngine } from "../../../src/cli/served-engine.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { PronkError } from "../../../src/errors.ts";

const broken = new PronkError("corrupt", "pack: shard 2 of 6: altered");

const LOADING = { open_ms: 1, total_ms: 1 };

/** Counts how often it is disposed; nothing else but its info is used here. */
function fakeEngine(): Engine & { disposed: number } {
  const engine = {
    info: { loading: LOADING },
    disposed: 0,
    dispose: async () => {
      engine.disposed++;
    },
  };
  return engine as unknown as Engine & { disposed: number };
}

test("while it loads there is no engine, and progress is told", async () => {
  const engine = fakeEngine();
  let finish: (engine: Engine) => void = () => {};
  let report: (fraction: number) => void = () => {};
  const served = createServedEngine((onProgress) => {
    report = onProgress;
    return new Promise((resolve) => {
      finish = resolve;
    });
  });
  const loaded = served.load();
  expect(served.get()).toBeUndefined();
  expect(served.ready()).toEqual({ status: "loading" });
  report(0.5);
  expect(served.ready()).toEqual({ status: "loading", progress: 0.5 });
  finish(engine);
  expect(await loaded).toBe(engine);
  expect(served.get()).toBe(engine);
  expect(served.ready()).toEqual({ status: "ready", loading: LOADING });
  await served.dispose();
  expect(engine.disposed).toBe(1);
});

test("after a failure requests share one more try, and all are told what it finds", async () => {
  let tries = 0;
  const served = createServedEngine(async (onProgress) => {
    tries++;
    onProgress(0.1);
    throw broken;
  });
  await expect(served.load()).rejects.toBe(broken);
  const all = await Promise.allSettled([served.get(), served.get(), served.get()]);
  expect(all.map((one) => one.status === "rejected" && one.reason)).toEqual(Array(3).fill(broken));
  // One begun by the first, and one for those who came while it ran.
  expect(tries).toBe(3);
  await served.dispose();
});

test("what failed is told until a try succeeds, and asking for it begins one", async () => {
  const engine = fakeEngine();
  let isRepaired = false;
  const served = createServedEngine(async (onProgress) => {
    onProgress(0.1);
    if (!isRepaired) throw broken;
    return engine;
  });
  await expect(served.load()).rejects.toBe(broken);
  isRepaired = true;
  expect(served.ready()).toEqual({ status: "failed", error: broken });
  await served.load();
  expect(served.ready()).toEqual({ status: "ready", loading: LOADING });
  expect(served.get()).toBe(engine);
});

test("who asks while a try is under way gets what one begun later finds", async () => {
  const engine = fakeEngine();
  const tries = [() => Promise.reject(broken), () => Promise.reject(broken), async () => engine];
  const served = createServedEngine(() => (tries.shift() as () => Promise<Engine>)());
  await expect(served.load()).rejects.toBe(broken);
  expect(served.ready().status).toBe("failed"); // begins the second
  expect(await served.get()).toBe(engine);
});

test("a load under way when the server ends is disposed of as well", async () => {
  const engine = fakeEngine();
  const served = createServedEngine(async () => engine);
  void served.load();
  await served.dispose();
  expect(engine.disposed).toBe(1);
});

test("while it stops there is no engine for new requests, and what runs keeps its own", async () => {
  const engine = fakeEngine();
  const served = createServedEngine(async () => engine);
  await served.load();
  served.stop();
  expect(served.get()).toBeUndefined();
  expect(served.ready()).toEqual({ status: "stopping" });
  expect(engine.disposed).toBe(0);
});

test("an engine that runs nothing any more is replaced: health says so, and requests wait for the next", async () => {
  const trapped = new PronkError("engine_failed", "kernel trapped: unreachable");
  const first = Object.assign(fakeEngine(), { failure: undefined as PronkError | undefined });
  const second = fakeEngine();
  const engines = [first, second];
  const served = createServedEngine(async () => engines.shift() as Engine);
  await served.load();
  first.failure = trapped;
  expect(served.ready()).toEqual({ status: "failed", error: trapped });
  expect(await Promise.all([served.get(), served.get()])).toEqual([second, second]);
  expect(first.disposed).toBe(1);
  expect(served.ready()).toEqual({ status: "ready", loading: LOADING });
  await served.dispose();
  expect([first.disposed, second.disposed]).toEqual([1, 1]);
});

test("one that fails while the server stops is not replaced", async () => {
  const engine = Object.assign(fakeEngine(), { failure: undefined as PronkError | undefined });
  const served = createServedEngine(async () => engine);
  await served.load();
  served.stop();
  engine.failure = new PronkError("engine_failed", "kernel trapped: unreachable");
  expect(served.ready()).toEqual({ status: "stopping" });
  await served.dispose();
  expect(engine.disposed).toBe(1);
});
