/** Who asks, each in a context of its own, as requests in Workers: a context's code may just stop. */
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { DRIVER_LEASE_TURNS } from "../../../src/engine/leases.ts";
import { nextTask, settle, toyEngine } from "./toy-engine.ts";
import { toyGreedy } from "./toy-runner.ts";

const greedy = { temperature: 0, ignore_eos: true };
const idle = { busy: 0, queued: 0 };

/** Which caller's code is running, as Workers know it; its yields do not end while it is dead. */
interface Caller {
  dead: boolean;
  /** Yields that have not ended: without one Workers take a request for hung. */
  pending?: number;
}

const caller = new AsyncLocalStorage<Caller>();

const runtime = {
  async yieldTask(): Promise<void> {
    const context = caller.getStore();
    if (context) context.pending = (context.pending ?? 0) + 1;
    await nextTask();
    while (context?.dead === true) {
      await new Promise<void>((resolve) => setTimeout(resolve, 1).unref());
    }
    if (context) context.pending!--;
  },
};

describe("a caller whose context dies, as a request's in Workers", () => {
  test("does not stop the others, though it was the one that drove", async () => {
    const { engine } = toyEngine({ slots: 2 }, { runtime });
    const first = { dead: false };
    void caller.run(first, () => engine.generate({ prompt_ids: [1], ...greedy }));
    const second = caller.run({ dead: false }, () =>
      engine.generate({ prompt_ids: [2], max_tokens: 60, ...greedy }),
    );
    await settle(4);
    first.dead = true;
    expect((await second).ids).toEqual(toyGreedy([2], 60));
  });

  test("loses its slot to the queue within one token", async () => {
    const { engine, runner } = toyEngine({ slots: 1, ctx: 4096 }, { runtime });
    const first = { dead: false };
    const lost = caller.run(first, () => engine.stream({ prompt_ids: [1], ...greedy }));
    await settle(4);
    first.dead = true;
    const before = runner.batches.length;
    const second = await caller.run({ dead: false }, () =>
      engine.generate({ prompt_ids: [2], max_tokens: 5, ...greedy }),
    );
    expect(second.ids).toEqual(toyGreedy([2], 5));
    expect(runner.batches.length - before).toBeLessThanOrEqual(1 + 5);
    // Its place is kept a little longer, should it come back.
    for (let i = 0; i < 2; i++) {
      await caller.run({ dead: false }, () =>
        engine.generate({ prompt_ids: [3], max_tokens: DRIVER_LEASE_TURNS, ...greedy }),
      );
    }
    expect(engine.stats()).toMatchObject(idle);
    expect(await Promise.race([lost.result.catch(() => "ended"), nextTask()])).toBe(undefined);
  });

  test("is only late: it goes on where it was, and nobody's tokens change", async () => {
    /** Its yields take this many macrotasks. */
    const late = { dead: false, tasks: 4 };
    const slow = {
      yieldTask: async (): Promise<void> => {
        for (let i = caller.getStore() === late ? late.tasks : 1; i > 0; i--) await nextTask();
      },
    };
    for (const slots of [1, 2]) {
      const { engine } = toyEngine({ slots, ctx: 4096 }, { runtime: slow });
      const results = await Promise.all([
        caller.run(late, () => engine.generate({ prompt_ids: [1], max_tokens: 50, ...greedy })),
        caller.run({ dead: false }, () =>
          engine.generate({ prompt_ids: [2], max_tokens: 60, ...greedy }),
        ),
      ]);
      expect(results.map(({ ids }) => ids)).toEqual([toyGreedy([1], 50), toyGreedy([2], 60)]);
      expect(engine.stats()).toMatchObject(idle);
    }
  });
});

describe("callers whose contexts are their own, as requests' in Workers", () => {
  const row = { prompt_ids: [1, 2], continuation_ids: [20] };

  test("have something of their own pending for as long as they wait for a slot to be lent", async () => {
    const { engine } = toyEngine({ slots: 1 }, { runtime });
    const chat = caller.run({ dead: false }, () =>
      engine.generate({ prompt_ids: [1], max_tokens: 30, ...greedy }),
    );
    const waiting = [
      { dead: false, pending: 0 },
      { dead: false, pending: 0 },
    ];
    let isOver = false;
    const scores = waiting.map((context) =>
      caller.run(context, async () => {
        await engine.scoreContinuations([row]);
        context.pending = Number.POSITIVE_INFINITY;
      }),
    );
    const all = Promise.all([chat, ...scores]).then(() => {
      isOver = true;
    });
    const least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    while (!isOver) {
      await new Promise((resolve) => setTimeout(resolve));
      for (const [i, { pending }] of waiting.entries()) least[i] = Math.min(least[i]!, pending);
    }
    await all;
    for (const pending of least) expect(pending).toBeGreaterThanOrEqual(1);
  });

  test("leave the line when they die in it, and get no slot", async () => {
    const { engine } = toyEngine({ slots: 1 }, { runtime });
    const chat = caller.run({ dead: false }, () =>
      engine.generate({ prompt_ids: [1], max_tokens: 6, ...greedy }),
    );
    await settle(3);
    const gone = [{ dead: false }, { dead: false }];
    for (const context of gone) {
      void caller.run(context, () => engine.scoreContinuations([row]).catch(() => undefined));
    }
    await settle(1);
    for (const context of gone) context.dead = true;
    await chat;
    const [next, score] = await Promise.all([
      caller.run({ dead: false }, () =>
        engine.generate({ prompt_ids: [3], max_tokens: 2 * DRIVER_LEASE_TURNS, ...greedy }),
      ),
      caller.run({ dead: false }, () => engine.scoreContinuations([row])),
    ]);
    expect(next.ids).toEqual(toyGreedy([3], 2 * DRIVER_LEASE_TURNS));
    expect(score[0]!.token_ids).toEqual([20]);
    expect(engine.stats()).toMatchObject(idle);
  });

  test("are told of another's trap by what they wait for themselves", async () => {
    const { engine, runner } = toyEngine({ slots: 1 }, { runtime });
    const trapping = caller.run({ dead: false }, () =>
      engine.generate({ prompt_ids: [1], ...greedy }),
    );
    await settle(3);
    const asleep = { dead: false };
    const ends: unknown[] = [];
    const note = (error: unknown): void => {
      ends.push(error);
    };
    caller.run(asleep, () => {
      engine.generate({ prompt_ids: [2], ...greedy }).catch(note);
      engine.scoreContinuations([row]).catch(note);
    });
    asleep.dead = true;
    runner.before = () => {
      throw new Error("unreachable");
    };
    await expect(trapping).rejects.toMatchObject({ code: "engine_failed" });
    await settle();
    expect(ends).toEqual([]);
    asleep.dead = false;
    await expect.poll(() => ends.length).toBe(2);
    expect(ends).toEqual(Array(2).fill(expect.objectContaining({ code: "engine_failed" })));
  });
});
