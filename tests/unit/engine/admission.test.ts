/** Who gets in, whose turn it is and who is sent away when more is asked than can be done. */
import { describe, expect, test } from "vitest";
import type { Generation } from "../../../src/engine/engine.ts";
import { RUN_AHEAD_PARTS } from "../../../src/engine/leases.ts";
import type { GenerateRequest } from "../../../src/generate/request.ts";
import { settle, type TestEngineOptions, toyEngine } from "./toy-engine.ts";

const greedy = { temperature: 0, ignore_eos: true };
const ask = (salt: number, max_tokens = 5, length = 3): GenerateRequest => ({
  prompt_ids: Array.from({ length }, (_, i) => (salt * 7 + i * 5) % 64),
  max_tokens,
  ...greedy,
});

/** Milliseconds of a batch. */
const BATCH_MS = 100;

/** A toy engine whose clock goes on with each batch. */
function timedEngine(slots: number, options: TestEngineOptions = {}) {
  const late = { ms: 0 };
  const made = toyEngine(
    { slots },
    { ...options, runtime: { now: () => made.runner.batches.length * BATCH_MS + late.ms } },
  );
  return { ...made, late };
}

const codeOf = (generation: Generation): Promise<string> =>
  generation.result.then(
    () => "done",
    (error) => error.code,
  );

describe("callers share the slots", () => {
  test("one that floods the queue does not make another one wait for all of it", async () => {
    const { engine } = toyEngine({ slots: 2 });
    const order: string[] = [];
    const run = (caller: string, salt: number): Promise<unknown> =>
      engine.generate(ask(salt), { caller }).then(() => order.push(caller));
    const flood = Array.from({ length: 20 }, (_, i) => run("flood", i));
    await settle(5);
    await run("quiet", 50);
    expect(order.length).toBeLessThanOrEqual(5);
    await Promise.all(flood);
  });

  test("two that flood get as many rows each, however long their requests are", async () => {
    const { engine, runner } = toyEngine({ slots: 1, ctx: 256 });
    const rows = { long: 0, short: 0 };
    const isOver = (): boolean => runner.batches.length > 600;
    const flood = async (caller: "long" | "short", length: number, tokens: number) => {
      const one = async (salt: number): Promise<void> => {
        while (!isOver()) {
          const request = ask(salt, tokens, length);
          await engine.generate(request, { caller });
          if (!isOver()) rows[caller] += length + tokens;
        }
      };
      await Promise.all(Array.from({ length: 6 }, (_, salt) => one(salt)));
    };
    await Promise.all([flood("long", 60, 30), flood("short", 2, 4)]);
    expect(rows.long / rows.short).toBeGreaterThan(0.6);
    expect(rows.long / rows.short).toBeLessThan(1.7);
  });

  test("who was away has saved up nothing", async () => {
    const { engine } = toyEngine({ slots: 1 });
    const done = { early: 0, late: 0 };
    const run = (caller: "early" | "late", salt: number): Promise<unknown> =>
      engine.generate(ask(salt), { caller }).then(() => done[caller]++);
    const early = Array.from({ length: 30 }, (_, i) => run("early", i));
    await Promise.race([early[10]]);
    const before = done.early;
    const late = Array.from({ length: 10 }, (_, i) => run("late", i));
    await Promise.all(late);
    // Turn by turn, not ten in a row.
    expect(done.early - before).toBeGreaterThanOrEqual(8);
    await Promise.all(early);
  });

  test("a queue full of one caller's takes another's, and the newest of the first goes", async () => {
    const { engine } = toyEngine({ slots: 1 }, { maxQueue: 4 });
    const flood = Array.from({ length: 5 }, (_, i) => engine.stream(ask(i), { caller: "flood" }));
    const ends = flood.map(codeOf);
    const quiet = engine.stream(ask(50), { caller: "quiet" });
    expect(await codeOf(quiet)).toBe("done");
    expect(await Promise.all(ends)).toEqual(["done", "done", "done", "done", "overloaded"]);
  });

  test("what has given tokens already does not go for another caller's", async () => {
    const { engine } = toyEngine({ slots: 1 }, { maxQueue: 2 });
    const read = engine.stream(ask(1, 150), { caller: "flood" });
    const parts = read[Symbol.asyncIterator]();
    await settle(300);
    const second = codeOf(engine.stream(ask(2, 20), { caller: "flood" }));
    await settle(5);
    for (let n = 0; n < RUN_AHEAD_PARTS; n++) await parts.next(); // waits again, behind tokens that were read
    const third = codeOf(engine.stream(ask(3), { caller: "flood" }));
    const quiet = codeOf(engine.stream(ask(4), { caller: "quiet" }));
    for (let n = 0; n < 150; n++) await parts.next();
    expect(await Promise.all([codeOf(read), second, third, quiet])).toEqual([
      "done",
      "done",
      "overloaded",
      "done",
    ]);
  });

  test("without callers all are one", async () => {
    const { engine } = toyEngine({ slots: 1 }, { maxQueue: 1 });
    const ends = [1, 2, 3].map((salt) => codeOf(engine.stream(ask(salt))));
    expect(await Promise.all(ends)).toEqual(["done", "done", "overloaded"]);
  });
});

describe("work with a lent slot and generations", () => {
  test("wait in one line: texts that come without end keep no chat out", async () => {
    const { engine } = toyEngine({ slots: 1 });
    let texts = 0;
    let isOver = false;
    const flood = Array.from({ length: 4 }, async () => {
      while (!isOver && texts < 200) {
        await engine.scoreContinuations([{ prompt_ids: [1, 2, 3], continuation_ids: [4] }]);
        texts++;
      }
    });
    await settle(10);
    const before = texts;
    await engine.generate(ask(1, 3));
    isOver = true;
    expect(texts - before).toBeLessThanOrEqual(10);
    await Promise.all(flood);
  });

  test("of several callers take turns", async () => {
    const { engine } = toyEngine({ slots: 1 });
    const order: string[] = [];
    const chats = Array.from({ length: 10 }, (_, i) =>
      engine.generate(ask(i), { caller: "chats" }).then(() => order.push("chat")),
    );
    await settle(3);
    const score = { prompt_ids: [1, 2, 3], continuation_ids: [4] };
    await engine.scoreContinuations([score], { caller: "scores" }).then(() => order.push("score"));
    expect(order.indexOf("score")).toBeLessThanOrEqual(2);
    await Promise.all(chats);
  });
});

describe("a request that was let in", () => {
  test("is not refused in its middle for a queue that is full by then", async () => {
    const { engine } = toyEngine({ slots: 1 }, { maxQueue: 1 });
    const others = [1, 2].map((salt) => engine.generate(ask(salt)));
    await expect(engine.generate(ask(3), { isPart: true })).resolves.toBeDefined();
    await Promise.all(others);
  });
});

describe("readers that do not read", () => {
  test("take no place from others", async () => {
    const { engine } = toyEngine({ slots: 1 }, { maxQueue: 1 });
    const slow = Array.from({ length: 3 }, (_, i) => {
      const generation = engine.stream(ask(i, 150));
      return { generation, parts: generation[Symbol.asyncIterator]() };
    });
    const rest = slow.slice(2).map(({ generation }) => codeOf(generation));
    for (const { parts } of slow.slice(0, 2)) await parts.next();
    await settle(400);
    expect(await Promise.all(rest)).toEqual(["overloaded"]);
    expect((await engine.generate(ask(9, 4))).ids).toHaveLength(4);
    // They are not forgotten: who reads on gets the rest.
    const seen: number[] = [];
    for await (const { token } of { [Symbol.asyncIterator]: () => slow[0]!.parts })
      seen.push(token);
    expect(seen).toHaveLength(124);
  });

  test("are bounded in number: who has not read for longest goes", async () => {
    const { engine, clock } = toyEngine({ slots: 1 }, { maxQueue: 1 });
    const slow = [];
    for (let i = 0; i < 12; i++) {
      const generation = engine.stream(ask(i, 150));
      await generation[Symbol.asyncIterator]().next();
      slow.push(codeOf(generation));
      clock.ms += 10;
      await settle(200);
    }
    const open = (await Promise.all(
      slow.map((end) => Promise.race([end, settle(5).then(() => "open")])),
    )) as string[];
    expect(open.filter((state) => state === "open")).toHaveLength(8);
    expect(open.slice(0, 4)).toEqual(Array(4).fill("aborted"));
  });
});

describe("a queue that would take too long", () => {
  /** Until it is known how long an answer takes: 20 batches, 2 s. */
  async function warmed(options: TestEngineOptions = {}) {
    const made = timedEngine(1, options);
    await made.engine.generate(ask(40, 20));
    return made;
  }

  test("is not joined: what is let in is served within the bound or a few answers' time", async () => {
    const { engine, runner } = await warmed();
    const from = runner.batches.length;
    const waits: number[] = [];
    const ends = Array.from({ length: 30 }, async (_, salt) => {
      const generation = engine.stream(ask(salt, 20), { maxWaitMs: 12_000 });
      const code = await codeOf(generation);
      if (code === "done") waits.push((await generation.result).timings.queue_ms);
      return code;
    });
    const codes = await Promise.all(ends);
    expect(codes.filter((code) => code === "overloaded").length).toBeGreaterThan(20);
    expect(Math.max(...waits)).toBeLessThanOrEqual(14_000);
    expect(runner.batches.length - from).toBeGreaterThan(5 * 20);
  });

  test("is always joined by four a slot, however slow the model is", async () => {
    const { engine } = await warmed();
    const ends = Array.from({ length: 8 }, (_, salt) =>
      codeOf(engine.stream(ask(salt, 20), { maxWaitMs: 1 })),
    );
    const codes = await Promise.all(ends);
    expect(codes.filter((code) => code === "done")).toHaveLength(4);
  });

  test("is joined by who waits as long as it takes, as programs do", async () => {
    const { engine } = await warmed();
    const ends = Array.from({ length: 30 }, (_, salt) => codeOf(engine.stream(ask(salt, 20))));
    expect(new Set(await Promise.all(ends))).toEqual(new Set(["done"]));
  });

  test("says when to come back: each one a turn later, a minute at most", async () => {
    const { engine } = await warmed({ maxQueue: 2 });
    const refused: number[] = [];
    const ends = Array.from({ length: 100 }, (_, salt) =>
      engine.generate(ask(salt, 20)).catch((error) => refused.push(error.retryAfterMs)),
    );
    await settle(1);
    expect(refused).toHaveLength(97);
    expect(refused[0]).toBe(2000);
    expect(refused[1]).toBe(4000);
    expect(Math.max(...refused)).toBe(60_000);
    await Promise.all(ends);
  });

  test("is as long as what requests take with all their choices", async () => {
    const { engine } = await warmed();
    const patience = { maxWaitMs: 12_000 };
    // Of eight choices each, which take 16 s together.
    for (let n = 0; n < 40; n++) {
      await engine.generate(ask(n, 20), { ...patience, isPart: n % 8 > 0 });
    }
    const codes = await Promise.all(
      Array.from({ length: 8 }, (_, salt) => codeOf(engine.stream(ask(salt, 20), patience))),
    );
    expect(codes.filter((code) => code === "done")).toHaveLength(4);
  });

  test("lets go of what has waited twice as long as it should", async () => {
    const { engine, late } = timedEngine(1);
    const patience = { maxWaitMs: 5000 };
    const first = codeOf(engine.stream(ask(1, 150), patience));
    const second = codeOf(engine.stream(ask(2, 3), patience));
    await settle(20);
    late.ms += 11_000;
    expect(await second).toBe("overloaded");
    expect(await first).toBe("done");
  });

  test("is not known before an answer has ended", async () => {
    const { engine } = timedEngine(1, { maxQueue: 10 });
    const ends = Array.from({ length: 11 }, (_, salt) =>
      codeOf(engine.stream(ask(salt, 1), { maxWaitMs: 600 })),
    );
    expect(new Set(await Promise.all(ends))).toEqual(new Set(["done"]));
  });
});
