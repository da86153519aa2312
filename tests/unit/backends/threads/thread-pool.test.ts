import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import type { Runner } from "../../../../src/backends/backend.ts";
import type { ThreadHost } from "../../../../src/backends/wasm/threads/thread-host.ts";
import type { RunnerThreads } from "../../../../src/backends/wasm/wasm-runner.ts";
import { wasm } from "../../../conformance/backends.ts";
import { nodeThreads, threaded } from "../../../support/threads.ts";
import { openTiny } from "../../../support/tiny-gguf.ts";
import { temporaryFolder } from "../../platform/temporary-folder.ts";

const MODEL = { quantization: "auto", kv: "int16" } as const;
const BATCH = { ids: [5, 6, 7], spans: [{ slot: 0, start: 0, count: 3 }], logitsRows: [2] };

const open = (more: Partial<RunnerThreads>, threads = 2): Promise<Runner> =>
  openTiny("Q4_1.gguf", threaded("simd", threads, more), MODEL);

async function expectSameBits(runner: Runner): Promise<void> {
  const single = await openTiny("Q4_1.gguf", wasm("simd"), MODEL);
  single.forward(BATCH);
  runner.forward(BATCH);
  expect(Array.from(runner.logits(0))).toEqual(Array.from(single.logits(0)));
  expect(runner.argmax(0)).toBe(single.argmax(0));
}

/** Threads, and the promises of their ends. */
function watched(host: ThreadHost = nodeThreads()) {
  const ended: Promise<string>[] = [];
  const threads: ReturnType<ThreadHost["spawn"]>[] = [];
  const watching: ThreadHost = {
    ...host,
    spawn: (events) => {
      let resolve: (reason: string) => void = () => undefined;
      ended.push(
        new Promise((settle) => {
          resolve = settle;
        }),
      );
      const onEnd = (reason: string): void => {
        resolve(reason);
        events.onEnd(reason);
      };
      const thread = host.spawn({ ...events, onEnd });
      threads.push(thread);
      return thread;
    },
  };
  return { host: watching, ended, threads };
}

test("dispose ends every thread, and no batch runs after it", async () => {
  const { host, ended } = watched();
  const runner = await open({ host }, 3);
  runner.forward(BATCH);
  runner.dispose();
  expect((await Promise.all(ended)).length).toBe(2);
  expect(() => runner.forward(BATCH)).toThrow("disposed");
});

test("dispose before the threads have started ends them as well", async () => {
  const { host, ended } = watched();
  const create = threaded("simd", 3, { host }, { waits: false });
  const runner = await openTiny("Q4_1.gguf", create, MODEL);
  runner.dispose();
  expect((await Promise.all(ended)).length).toBe(2);
  await runner.ready;
  expect(runner.threads).toEqual({ asked: 3, used: 1, reason: "disposed" });
});

test("where a thread's file is missing all runs on one thread, and the reason is told", async () => {
  const host = nodeThreads(new URL("file:///missing/thread.mjs"));
  const runner = await open({ host });
  expect(runner.threads).toMatchObject({ asked: 2, used: 1 });
  expect(runner.threads?.reason).toMatch(/^thread 1: Cannot find module .*missing/);
  await expectSameBits(runner);
  runner.dispose();
});

test("a thread that never answers is given up when its time is over", async () => {
  const file = join(await temporaryFolder(), "silent.mjs");
  writeFileSync(file, "setInterval(() => {}, 1000);");
  const { host, ended } = watched(nodeThreads(pathToFileURL(file)));
  const runner = await open({ host, startTimeoutMs: 100 });
  expect(runner.threads).toMatchObject({ used: 1, reason: "not started in 100 ms" });
  await Promise.all(ended);
  await expectSameBits(runner);
});

test("a thread that dies between two batches costs its speed alone", async () => {
  const { host, ended, threads } = watched();
  const runner = await open({ host }, 3);
  runner.forward(BATCH);
  threads[0].terminate();
  await Promise.all(ended);
  expect(runner.threads).toEqual({ asked: 3, used: 1, reason: "thread 1: it ended" });
  await expectSameBits(runner);
});

test("a batch that waits for a dead thread fails within a bounded time, and so do later ones", async () => {
  // It listens, as far as the caller can tell, and computes nothing.
  const file = join(await temporaryFolder(), "dead.mjs");
  writeFileSync(
    file,
    `import { parentPort } from "node:worker_threads";
     parentPort.on("message", () => parentPort.postMessage({ ready: true }));`,
  );
  const { host, threads } = watched(nodeThreads(pathToFileURL(file)));
  const runner = await open({ host, barrierTimeoutMs: 300 });
  expect(() => runner.forward(BATCH)).toThrow("a thread did not answer in 300 ms");
  expect(() => runner.forward(BATCH)).toThrow("a thread did not answer in 300 ms");
  runner.dispose();
  for (const thread of threads) thread.terminate();
});

test("what goes wrong in a thread is the caller's error, with its words", async () => {
  // A plan that only the thread cannot run: its tensors are gone.
  const { host, ended } = watched();
  const poisoned: ThreadHost = {
    ...host,
    spawn: (events) => {
      const thread = host.spawn(events);
      const post = (message: unknown): void => thread.post({ ...(message as object), tensors: [] });
      return { ...thread, post };
    },
  };
  const runner = await open({ host: poisoned, barrierTimeoutMs: 20_000 });
  expect(() => runner.forward(BATCH)).toThrow(/thread 1: tensor .* is missing/);
  await Promise.all(ended);
});
