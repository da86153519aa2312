import { describe, expect, test } from "vitest";
import type { Generation } from "../../../src/engine/engine.ts";
import { PronkError } from "../../../src/errors.ts";
import { createApp } from "../../../src/server/app.ts";
import type { LogEntry, Ping } from "../../../src/server/context.ts";
import { CHAT, chat, events, type Json, post, postJson } from "./client.ts";
import { createToy, type Toy } from "./toy-engine.ts";

const streamed = (fields: Record<string, unknown> = {}) => chat({ stream: true, ...fields });
const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};
const endless = { ignore_eos: true, max_tokens: 200 };
const idle = { busy: 0, queued: 0 };

/** The text of the next `count` chunks of a body, one chunk an event. */
async function take(reader: ReadableStreamDefaultReader<Uint8Array>, count: number) {
  const chunks: string[] = [];
  for (let i = 0; i < count; i++) {
    const { value } = await reader.read();
    chunks.push(new TextDecoder().decode(value));
  }
  return chunks;
}

describe("a client that goes away", () => {
  const started = async (toy: Toy, init: RequestInit = {}) => {
    const response = await post(createApp({ engine: toy.engine }), CHAT, streamed(endless), init);
    const reader = response.body!.getReader();
    await take(reader, 4);
    return reader;
  };

  test("by cancelling the stream stops the engine within one token", async () => {
    const toy = createToy();
    const reader = await started(toy);
    const before = toy.forwards();
    await reader.cancel();
    await turns(20);
    expect(toy.forwards() - before).toBeLessThanOrEqual(1);
    expect(toy.engine.stats()).toMatchObject(idle);
  });

  test("by the request's signal stops the engine within one token", async () => {
    const toy = createToy();
    const client = new AbortController();
    const reader = await started(toy, { signal: client.signal });
    const before = toy.forwards();
    client.abort();
    await turns(20);
    expect(toy.forwards() - before).toBeLessThanOrEqual(1);
    expect(toy.engine.stats()).toMatchObject(idle);
    await reader.cancel();
  });

  test("while a whole answer is made stops the engine within one token", async () => {
    const toy = createToy();
    const client = new AbortController();
    const app = createApp({ engine: toy.engine });
    const answer = post(app, CHAT, chat(endless), { signal: client.signal });
    while (toy.forwards() < 5) await turns(1);
    client.abort();
    const before = toy.forwards();
    await turns(20);
    expect(toy.forwards() - before).toBeLessThanOrEqual(1);
    expect((await answer).status).toBe(499);
  });

  test("stops every one of its choices, also those that wait", async () => {
    const toy = createToy({ slots: 2 });
    const app = createApp({ engine: toy.engine });
    const response = await post(app, CHAT, streamed({ ...endless, n: 5 }));
    const reader = response.body!.getReader();
    await take(reader, 8);
    await reader.cancel();
    await turns(5);
    const before = toy.forwards();
    await turns(20);
    expect(toy.forwards()).toBe(before);
    expect(toy.engine.stats()).toMatchObject(idle);
  });

  test("while its stream waits for a slot leaves the queue at once", async () => {
    const toy = createToy({ slots: 1 });
    const after = (_ms: number, run: () => void) => {
      const soon = setImmediate(run);
      return () => clearImmediate(soon);
    };
    const app = createApp({ engine: toy.engine, ping: { everyMs: 1, after } });
    const first = (await post(app, CHAT, streamed(endless))).body!.getReader();
    await take(first, 3);
    const second = (await post(app, CHAT, streamed())).body!.getReader();
    expect(await take(second, 1)).toEqual([": ping\n\n"]);
    expect(toy.engine.stats().queued).toBe(1);
    await second.cancel();
    expect(toy.engine.stats().queued).toBe(0);
    await first.cancel();
  });

  test("before its turn has come leaves the queue", async () => {
    const toy = createToy({ slots: 1 });
    const app = createApp({ engine: toy.engine });
    const first = (await post(app, CHAT, streamed(endless))).body!.getReader();
    await take(first, 3);
    const client = new AbortController();
    const second = post(app, CHAT, streamed(), { signal: client.signal });
    await turns(5);
    expect(toy.engine.stats().queued).toBe(1);
    client.abort();
    expect((await second).status).toBe(499);
    expect(toy.engine.stats().queued).toBe(0);
    await first.cancel();
  });
});

test("each token is a chunk of its own, sent before the next one is computed", async () => {
  const toy = createToy();
  const response = await post(createApp({ engine: toy.engine }), CHAT, streamed());
  const reader = response.body!.getReader();
  await take(reader, 1);
  const forwards: number[] = [];
  for (let i = 0; i < 5; i++) {
    const [text] = await take(reader, 1);
    expect(text!.split("\n\n")).toHaveLength(2);
    forwards.push(toy.forwards());
  }
  expect(forwards).toEqual(forwards.map((_, i) => forwards[0]! + i));
  await reader.cancel();
});

test("choices that are all ready take turns", async () => {
  const toy = createToy({ slots: 2 });
  const app = createApp({ engine: toy.engine });
  const response = await post(app, CHAT, streamed({ n: 2, max_tokens: 10 }));
  await turns(50); // both have run ahead of their reader
  const order = (await events(response))
    .slice(0, -1)
    .map((event) => JSON.parse(event.replace("data: ", "")).choices[0])
    .filter(({ delta }) => delta.content)
    .map(({ index }) => index);
  expect(order.join("")).toBe("01".repeat(10));
});

test("a client that does not read is not run ahead of without bound", async () => {
  const toy = createToy();
  const response = await post(createApp({ engine: toy.engine }), CHAT, streamed(endless));
  await turns(300);
  expect(toy.forwards()).toBeLessThan(80);
  await response.body!.cancel();
});

describe("a failure", () => {
  const failing = (at: number) =>
    createToy({
      onForward: (call) => {
        if (call === at) throw new Error("unreachable executed");
      },
    });

  test("before the first token has its status", async () => {
    const app = createApp({ engine: failing(0).engine });
    for (const body of [streamed(), chat()]) {
      const { status, json } = await postJson(app, CHAT, body);
      expect(status).toBe(500);
      expect(json.error).toMatchObject({ type: "server_error", code: "engine_failed" });
    }
  });

  test("in the middle is one event with the envelope, then the end, and is logged", async () => {
    const log: LogEntry[] = [];
    const app = createApp({ engine: failing(4).engine, log: (entry) => log.push(entry) });
    const response = await post(app, CHAT, streamed());
    expect(response.status).toBe(200);
    const all = await events(response);
    const last = JSON.parse(all.pop()!.replace("data: ", ""));
    expect(last).toEqual({
      error: {
        message: expect.any(String),
        type: "server_error",
        param: null,
        code: "engine_failed",
      },
    });
    expect(all.length).toBeGreaterThan(2);
    expect(all.some((event) => event.includes("error") || event.includes("[DONE]"))).toBe(false);
    expect(log.at(-1)).toMatchObject({ status: 200, path: CHAT, error: expect.any(Error) });
  });

  test("of one choice ends the others", async () => {
    const { engine } = createToy({ slots: 2 });
    for (const body of [streamed({ n: 2, ...endless }), chat({ n: 2, ...endless })]) {
      let choices = 0;
      const second = (...args: Parameters<typeof engine.stream>): Generation => {
        if (++choices === 2) throw new PronkError("overloaded", "engine: another took the slot");
        return engine.stream(...args);
      };
      const app = createApp({ engine: Object.create(engine, { stream: { value: second } }) });
      expect((await postJson(app, CHAT, body)).status).toBe(429);
      expect(engine.stats()).toMatchObject({ busy: 0, queued: 0 });
    }
  });
});

test("a full queue is 429 with when to come back, streamed or not", async () => {
  const toy = createToy({ slots: 1, maxQueue: 0 });
  const app = createApp({ engine: toy.engine });
  const first = (await post(app, CHAT, streamed(endless))).body!.getReader();
  for (const body of [streamed(), chat()]) {
    const { status, json, headers } = await postJson(app, CHAT, body);
    expect(status).toBe(429);
    expect(json.error).toMatchObject({ type: "rate_limit_error", code: "rate_limit_exceeded" });
    // Each is told another time, so that they do not come back at once.
    const ms = Number(headers.get("retry-after-ms"));
    expect(ms).toBeGreaterThanOrEqual(1000);
    expect(headers.get("retry-after")).toBe(`${Math.ceil(ms / 1000)}`);
    expect(headers.get("x-should-retry")).toBe("true");
  }
  await first.cancel();
});

test("more choices than slots do not overflow a short queue", async () => {
  const app = createApp({ engine: createToy({ slots: 1, maxQueue: 0 }).engine });
  const { status, json } = await postJson(app, CHAT, chat({ n: 6 }));
  expect(status).toBe(200);
  expect(json.choices).toHaveLength(6);
});

describe("pings", () => {
  /** A ping whose time comes when the test says so. */
  const manual = (): { ping: Ping; elapse: () => void; waiting: () => number } => {
    const timers = new Set<() => void>();
    return {
      ping: {
        everyMs: 15_000,
        after: (_ms, run) => {
          timers.add(run);
          return () => timers.delete(run);
        },
      },
      elapse: () => {
        for (const run of [...timers]) run();
      },
      waiting: () => timers.size,
    };
  };
  /** An engine whose batches wait for `release`. */
  const gated = () => {
    let open = (): void => {};
    let gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const toy = createToy({ onForward: () => gate });
    const close = (): void => {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    };
    return { toy, close, release: () => open() };
  };

  test("keep a stream alive before its first token and between two", async () => {
    const { toy, close, release } = gated();
    const { ping, elapse, waiting } = manual();
    const answer = post(createApp({ engine: toy.engine, ping }), CHAT, streamed());
    await turns(5);
    elapse();
    const response = await answer; // headers went out although there is no token
    expect(response.status).toBe(200);
    const reader = response.body!.getReader();
    for (let i = 0; i < 2; i++) {
      const next = take(reader, 1);
      await turns(5);
      elapse();
      expect(await next).toEqual([": ping\n\n"]);
    }
    release();
    const [role] = await take(reader, 1);
    expect(role).toContain('"role":"assistant"');
    close();
    let silent: string[] = [];
    while (silent[0] !== ": ping\n\n") {
      const next = take(reader, 1);
      await turns(10);
      elapse();
      silent = await next;
    }
    release();
    const rest = await events(new Response(drain(reader)));
    expect(rest.at(-1)).toBe("data: [DONE]");
    expect(waiting()).toBe(0);
  });

  test("are not sent while tokens come, nor is a timer left behind", async () => {
    const { ping, waiting } = manual();
    const app = createApp({ engine: createToy().engine, ping });
    const all = await events(await post(app, CHAT, streamed()));
    expect(all.some((event) => event.startsWith(":"))).toBe(false);
    expect(waiting()).toBe(0);
  });

  test("can be off", async () => {
    const app = createApp({ engine: createToy().engine, ping: false });
    const all: Json[] = await events(await post(app, CHAT, streamed()));
    expect(all.at(-1)).toBe("data: [DONE]");
  });
});

function drain(reader: ReadableStreamDefaultReader<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}
