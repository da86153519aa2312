import { describe, expect, test, vi } from "vitest";
import { PronkError } from "../../../../src/errors.ts";
import { type Methods, serveCalls } from "../../../../src/playground/tab/serve-calls.ts";
import { WorkerCalls, type WorkerLike } from "../../../../src/playground/tab/worker-calls.ts";

/** A worker in this thread: structured clones between two ends, as between threads. */
function fakeWorker(methods: Methods) {
  const listeners = new Map<string, ((event: never) => void)[]>();
  let toWorker: (event: { data: unknown }) => void = () => {};
  let isEnded = false;
  const emit = (type: string, event: unknown): void => {
    if (isEnded) return;
    for (const listener of listeners.get(type) ?? []) listener(event as never);
  };
  const later = (work: () => void): void => queueMicrotask(() => isEnded || work());
  const worker: WorkerLike = {
    postMessage: (message) => {
      const data = structuredClone(message);
      later(() => toWorker({ data }));
    },
    terminate: () => {
      isEnded = true;
    },
    addEventListener: (type, listener) =>
      void listeners.set(type, [...(listeners.get(type) ?? []), listener]),
  };
  serveCalls(
    {
      postMessage: (message) => {
        const data = structuredClone(message);
        later(() => emit("message", { data }));
      },
      addEventListener: (_, listener) => {
        toWorker = listener;
      },
    },
    methods,
  );
  return { worker, emit };
}

const methods: Methods = {
  double: async (value: number) => 2 * value,
  refuse: async () => {
    throw new PronkError("bad_request", "temperature: -1", { param: "temperature" });
  },
  trap: async () => {
    throw new WebAssembly.RuntimeError("unreachable");
  },
  exhaust: async () => {
    throw new RangeError("Array buffer allocation failed");
  },
  count: async (last: number, { part, signal }) => {
    for (let i = 1; i <= last; i++) {
      if (signal.aborted) throw new PronkError("aborted", "aborted");
      part(i);
      await new Promise((resolve) => setTimeout(resolve));
    }
    return "end";
  },
  hang: () => new Promise(() => {}),
  ping: async () => {},
};

const calls = (): WorkerCalls => new WorkerCalls({ spawn: () => fakeWorker(methods).worker });

describe("a call", () => {
  test("ends with a value, or with an error that keeps its code, message and field", async () => {
    const worker = calls();
    expect(await worker.call("double", 21)).toBe(42);
    await expect(worker.call("refuse")).rejects.toEqual(
      new PronkError("bad_request", "temperature: -1", { param: "temperature" }),
    );
    await expect(worker.call("refuse")).rejects.toMatchObject({ param: "temperature" });
    await expect(worker.call("missing")).rejects.toMatchObject({ code: "not_found" });
    worker.terminate();
  });

  test("says of a trap that the engine failed, of memory that could not be had that there is none", async () => {
    const worker = calls();
    await expect(worker.call("trap")).rejects.toMatchObject({ code: "engine_failed" });
    await expect(worker.call("exhaust")).rejects.toMatchObject({ code: "out_of_memory" });
    expect(await worker.call("double", 1)).toBe(2);
    worker.terminate();
  });
});

describe("a stream", () => {
  test("gives its parts in order, and ends", async () => {
    const worker = calls();
    const seen: number[] = [];
    for await (const part of worker.stream<number>("count", 5)) seen.push(part);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    worker.terminate();
  });

  test("that is left stops the worker's work", async () => {
    let ended: unknown;
    const count = methods.count as (last: never, context: never) => Promise<unknown>;
    const watched: Methods = {
      ...methods,
      count: (last, context) =>
        count(last, context as never).catch((error) => {
          ended = error;
          throw error;
        }),
    };
    const worker = new WorkerCalls({ spawn: () => fakeWorker(watched).worker });
    for await (const part of worker.stream<number>("count", 1e9)) if (part === 3) break;
    await vi.waitFor(() => expect(ended).toMatchObject({ code: "aborted" }));
    worker.terminate();
  });

  test("that is aborted throws aborted", async () => {
    const worker = calls();
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      for await (const part of worker.stream<number>("count", 1e9, abort.signal)) {
        if (part === 3) abort.abort();
      }
    };
    await expect(read()).rejects.toMatchObject({ code: "aborted" });
    worker.terminate();
  });
});

describe("a worker that dies", () => {
  test("fails what waits for it, clearly, and the next call starts another", async () => {
    let spawned = 0;
    let die = (): void => {};
    const deaths: PronkError[] = [];
    const worker = new WorkerCalls({
      spawn: () => {
        spawned++;
        const fake = fakeWorker(methods);
        die = () => fake.emit("error", { message: "Uncaught RangeError: out of memory" });
        return fake.worker;
      },
      onDeath: (error) => deaths.push(error),
    });
    const waiting = [worker.call("hang"), worker.call("hang")];
    die();
    for (const call of waiting) {
      await expect(call).rejects.toMatchObject({
        code: "engine_failed",
        message: "worker: Uncaught RangeError: out of memory; it can be started again",
      });
    }
    expect(deaths).toHaveLength(1);
    expect(await worker.call("double", 4)).toBe(8);
    expect(spawned).toBe(2);
    worker.terminate();
  });

  test("is given up when it gives no sign of life, not when a call takes long", async () => {
    const deaf = { ...methods, ping: () => new Promise(() => {}) };
    const dead = new WorkerCalls({ spawn: () => fakeWorker(deaf).worker, silenceMs: 60 });
    await expect(dead.call("hang")).rejects.toThrow("no sign of life");
    const alive = new WorkerCalls({ spawn: () => fakeWorker(methods).worker, silenceMs: 60 });
    const late = Symbol("late");
    const wait = new Promise((resolve) => setTimeout(resolve, 250, late));
    expect(await Promise.race([alive.call("hang").catch(() => "died"), wait])).toBe(late);
    alive.terminate();
  });
});
