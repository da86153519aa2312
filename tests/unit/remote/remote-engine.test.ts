/** The engine of another place, over channels within this process: the same outputs, also when it is lost. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  createEngine,
  type EngineOptions,
  type LocalEngine,
} from "../../../src/engine/create-engine.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { loadModel } from "../../../src/engine/load-model.ts";
import type { Runtime } from "../../../src/engine/runtime.ts";
import { WorkBudget } from "../../../src/engine/work-budget.ts";
import { PronkError } from "../../../src/errors.ts";
import type { GenerateRequest } from "../../../src/generate/request.ts";
import { type Channel, channelPair } from "../../../src/remote/channel.ts";
import { ACK_PARTS, SILENCE_MS, WINDOW_PARTS } from "../../../src/remote/messages.ts";
import { openRemoteEngine, type RemoteEngine } from "../../../src/remote/remote-engine.ts";
import { serveEngine } from "../../../src/remote/serve-engine.ts";
import type { Timer } from "../../../src/remote/timer.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { collect, nextTask, settle, toyEngine } from "../engine/toy-engine.ts";

const PATH = "tests/goldens/tokenizers/tok_bpe.gguf";
const runtime: Runtime = {
  kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
  yieldTask: nextTask,
  now: () => performance.now(),
  wallClock: () => 0,
  randomSeed: () => 1,
};

async function localEngine(options: EngineOptions = {}, slots = 2): Promise<LocalEngine> {
  const gguf = [memorySource(new Uint8Array(readFileSync(PATH)), PATH)];
  return createEngine(await loadModel({ gguf }, runtime, { slots }), runtime, options);
}

/** Waits are over in the next task, but for the long ones of who listens for silence. */
const quick: Timer = (ms, run) => {
  if (ms >= 5000) return () => {};
  const id = setImmediate(run);
  return () => clearImmediate(id);
};

interface Place {
  readonly remote: RemoteEngine;
  /** Channels to it, the last one last; each as the engine has it. */
  readonly ends: Channel[];
  readonly asked: string[];
}

async function reach(
  engines: readonly Engine[],
  { timer = quick, onEnd }: { timer?: Timer; onEnd?: (end: Channel, name: string) => void } = {},
): Promise<Place> {
  const ends: Channel[] = [];
  const asked: string[] = [];
  const [first] = engines;
  const peers = engines.map((engine, i) => ({
    name: `engine-${i}`,
    async connect() {
      const [mine, theirs] = channelPair();
      ends.push(theirs);
      asked.push(`engine-${i}`);
      void serveEngine(theirs, { engine: async () => engine, timer, onError: console.error });
      onEnd?.(theirs, `engine-${i}`);
      return mine;
    },
  }));
  const remote = await openRemoteEngine({
    peers,
    tokenizer: first!.tokenizer,
    template: first!.template,
    now: () => performance.now(),
    randomSeed: () => 7,
    timer,
  });
  return { remote, ends, asked };
}

const local = await localEngine();
const prompt_ids = local.tokenizer.encode("The llama went to the river and");
const schema = {
  type: "object",
  properties: { name: { type: "string", maxLength: 20 }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};
const max_tokens = 40;
const requests: [string, GenerateRequest][] = [
  ["greedy", { prompt_ids, max_tokens, seed: 4, temperature: 0, ignore_eos: true }],
  ["sampled", { prompt_ids, max_tokens, seed: 5, top_p: 0.9, ignore_eos: true }],
  [
    "penalized and biased",
    {
      ...{ prompt_ids, max_tokens, seed: 6, ignore_eos: true },
      ...{ frequency_penalty: 1, repetition_penalty: 1.3 },
      logit_bias: new Map([
        [5, 3],
        [9, -100],
      ]),
    },
  ],
  [
    "under a grammar",
    { prompt_ids, max_tokens, seed: 7, grammar: { type: "json_schema", schema } },
  ],
  ["with log-probabilities", { prompt_ids, max_tokens, seed: 8, top_logprobs: 2 }],
  ["with stop texts", { prompt_ids, max_tokens, seed: 9, ignore_eos: true, stop: ["zzzz", "e"] }],
];

const untimed = ({ timings, ...rest }: { timings: unknown }): object => rest;

describe.each(requests)("a generation elsewhere, %s", (_, request) => {
  test("is the one that it is here", async () => {
    const expected = await collect(local.stream(request));
    const { remote } = await reach([local]);
    const generation = remote.stream(request);
    expect(await collect(generation)).toEqual(expected);
    expect(untimed(await generation.result)).toEqual(untimed(await local.generate(request)));
    expect(untimed(await remote.generate(request))).toEqual(untimed(await local.generate(request)));
  });

  test("goes on without a gap or a repeat when the engine is lost, again and again", async () => {
    const expected = await collect(local.stream(request));
    const engines = [local, await localEngine()];
    const { remote, ends, asked } = await reach(engines);
    const parts = [];
    const generation = remote.withKey("a conversation").stream(request);
    for await (const part of generation) {
      parts.push(part);
      if ([1, 2, 9, 20].includes(parts.length)) ends.at(-1)!.close();
    }
    expect(parts).toEqual(expected);
    expect(untimed(await generation.result)).toEqual(untimed(await local.generate(request)));
    expect(asked.length).toBeGreaterThan(expected.length > 20 ? 4 : 1);
  });
});

describe("an engine that is lost", () => {
  const [, request] = requests[1]!;

  test("before its first message is asked again, then the next one", async () => {
    const engines = [local, await localEngine()];
    let isDown = false;
    const { remote, asked } = await reach(engines, {
      onEnd: (end, name) => {
        if (isDown && name === first) end.close();
      },
    });
    let first = "";
    const keyed = remote.withKey("k");
    await keyed.generate(request);
    first = asked.at(-1)!;
    isDown = true;
    asked.length = 0;
    const { ids } = await keyed.generate(request);
    expect(ids).toEqual((await local.generate(request)).ids);
    expect(asked).toEqual([first, first, first === "engine-0" ? "engine-1" : "engine-0"]);
    asked.length = 0;
    const [vector] = await keyed.embed(["a text"]);
    expect(vector).toEqual((await local.embed(["a text"]))[0]);
    expect(asked).toHaveLength(3);
  });

  test("for good ends the generation with one error, after what it said", async () => {
    let isDown = false;
    const { remote, ends } = await reach([local], {
      onEnd: (end) => {
        if (isDown) end.close();
      },
    });
    const generation = remote.stream(request);
    let parts = 0;
    const read = async (): Promise<void> => {
      for await (const _ of generation) {
        if (++parts !== 3) continue;
        isDown = true;
        ends.at(-1)!.close();
      }
    };
    await expect(read()).rejects.toMatchObject({ code: "unavailable" });
    expect(parts).toBeGreaterThanOrEqual(3);
    await expect(generation.result).rejects.toMatchObject({ code: "unavailable" });
    await expect(remote.embed(["x"])).rejects.toMatchObject({ code: "unavailable" });
  });

  test("because it failed is asked for again; what fails everywhere is told", async () => {
    const failing = await localEngine();
    const { remote, asked } = await reach([failing]);
    await failing.dispose();
    asked.length = 0;
    await expect(remote.generate(request)).rejects.toMatchObject({ code: "engine_failed" });
    expect(asked).toHaveLength(3);
  });

  test("without a sign is noticed by its silence", async () => {
    const timers = new Set<() => void>();
    const timer: Timer = (ms, run) => {
      if (ms < 5000) return quick(ms, run);
      if (ms >= SILENCE_MS) return () => {};
      timers.add(run);
      return () => timers.delete(run);
    };
    const { remote, asked } = await reach([local, local], { timer });
    const peerless = remote.withKey("k");
    const generation = peerless.stream({ ...request, max_tokens: 20 });
    const parts = generation[Symbol.asyncIterator]();
    await parts.next();
    const before = asked.length;
    // Nothing is heard while all of these pings are due at once.
    for (let i = 0; i < 8; i++) for (const run of [...timers]) run();
    let count = 1;
    while (!(await parts.next()).done) count++;
    expect(count).toBe(20);
    expect(asked.length).toBe(before + 1);
  });
});

describe("an engine elsewhere", () => {
  test("gives what its other methods give, to the last bit", async () => {
    const { remote } = await reach([local]);
    const texts = ["a llama", "the river", "the river and the llama"];
    expect(await remote.embed(texts)).toEqual(await local.embed(texts));
    // What may be computed for a request is counted where it is.
    const work = new WorkBudget(1);
    expect(await remote.embed(texts, { work })).toEqual(await local.embed(texts));
    expect(await remote.perplexity(prompt_ids)).toEqual(await local.perplexity(prompt_ids));
    const logprobs = await remote.promptLogprobs([prompt_ids], { top_logprobs: 2 });
    expect(logprobs).toEqual(await local.promptLogprobs([prompt_ids], { top_logprobs: 2 }));
    const scored = [{ prompt_ids, continuation_ids: local.tokenizer.encode(" ate") }];
    expect(await remote.scoreContinuations(scored)).toEqual(await local.scoreContinuations(scored));
    const snapshot = await remote.saveSnapshot({ prompt_ids });
    expect(snapshot).toEqual(await local.saveSnapshot({ prompt_ids }));
    await expect(remote.classify([prompt_ids])).rejects.toMatchObject({ code: "unsupported" });
    expect(() => remote.checkGrammar({ type: "regex", pattern: "(" })).toThrow(PronkError);
    await expect(remote.unloadAdapter("x")).rejects.toMatchObject({ code: "unsupported" });
    expect(remote.stats().generated_tokens).toBe(local.stats().generated_tokens);
  });

  test("says what is wrong with a request by its field", async () => {
    const { remote } = await reach([local]);
    const bad = remote.generate({ prompt_ids, temperature: 9 });
    await expect(bad).rejects.toMatchObject({ code: "bad_request", param: "temperature" });
    const long = Array.from({ length: local.info.ctx + 1 }, () => 5);
    await expect(remote.generate({ prompt_ids: long })).rejects.toMatchObject({
      code: "context_overflow",
    });
  });

  test("that is full is unavailable", async () => {
    const { remote } = await reach([await localEngine({ maxQueue: 0 }, 1)]);
    const [, request] = requests[0]!;
    const running = remote.stream(request);
    const parts = running[Symbol.asyncIterator]();
    await parts.next();
    await expect(remote.generate(request)).rejects.toMatchObject({ code: "unavailable" });
    while (!(await parts.next()).done);
  });

  test("frees the slot when its reader aborts, stops reading, or is gone", async () => {
    const engine = await localEngine({}, 1);
    const { remote, ends } = await reach([engine]);
    const [, request] = requests[0]!;
    const long = { ...request, max_tokens: 200 };
    const abort = new AbortController();
    const first = remote.stream(long, { signal: abort.signal })[Symbol.asyncIterator]();
    await first.next();
    abort.abort();
    await expect(first.next()).rejects.toMatchObject({ code: "aborted" });
    await settle(5);
    expect(engine.stats().busy).toBe(0);
    for await (const _ of remote.stream(long)) break;
    await settle(5);
    expect(engine.stats().busy).toBe(0);
    const third = remote.stream(long)[Symbol.asyncIterator]();
    await third.next();
    const busy = engine.stats().busy;
    ends.at(-1)!.close();
    await third.return?.();
    await settle(5);
    expect([busy, engine.stats().busy]).toEqual([1, 0]);
    expect(engine.stats().generated_tokens).toBeLessThan(40);
  });

  test("waits for a slow reader, and its slot is somebody else's meanwhile", async () => {
    const { engine } = toyEngine({ slots: 1, ctx: 256 });
    const { remote } = await reach([engine]);
    const slow = remote.stream({ prompt_ids: [1, 2, 3], max_tokens: 200, ignore_eos: true });
    const parts = slow[Symbol.asyncIterator]();
    await parts.next();
    await settle(400);
    expect(engine.stats()).toMatchObject({ busy: 0 });
    expect(engine.stats().generated_tokens).toBeLessThan(200);
    expect(engine.stats().generated_tokens).toBeGreaterThan(WINDOW_PARTS);
    await remote.generate({ prompt_ids: [4, 5], max_tokens: 3 });
    let count = 1;
    while (!(await parts.next()).done) count++;
    expect(count).toBe(200);
  });

  test("hears of its reader every few tokens, which gives a Durable Object its CPU time again", async () => {
    const heads: unknown[] = [];
    const peer = {
      name: "engine",
      async connect() {
        const [mine, theirs] = channelPair();
        void serveEngine(theirs, { engine: async () => local });
        const send: Channel["send"] = (message) => {
          heads.push(message.head);
          mine.send(message);
        };
        return {
          ...mine,
          listen: (of) => mine.listen(of),
          close: () => mine.close(),
          send,
        } as Channel;
      },
    };
    const remote = await openRemoteEngine({
      ...{ peers: [peer], tokenizer: local.tokenizer, template: undefined },
      ...{ now: () => 0, randomSeed: () => 1 },
    });
    for (const read of [
      () => remote.generate({ prompt_ids, max_tokens: 200, ignore_eos: true }),
      () => collect(remote.stream({ prompt_ids, max_tokens: 200, ignore_eos: true })),
    ]) {
      heads.length = 0;
      await read();
      const reads = heads.flatMap((head) => (head as { read?: number }).read ?? []);
      expect(reads.length).toBeGreaterThan(200 / ACK_PARTS / 2);
      expect(Math.max(...reads)).toBeLessThan(WINDOW_PARTS);
      expect(reads.reduce((sum, parts) => sum + parts, 0)).toBeGreaterThan(200 - WINDOW_PARTS);
    }
  });

  test("with another model than before refuses, and is described anew", async () => {
    let engine: Engine = local;
    const changes: string[] = [];
    const peer = {
      name: "engine",
      async connect() {
        const [mine, theirs] = channelPair();
        void serveEngine(theirs, { engine: async () => engine });
        return mine;
      },
    };
    const remote = await openRemoteEngine({
      ...{ peers: [peer], tokenizer: local.tokenizer, template: undefined },
      ...{ now: () => 0, randomSeed: () => 1, onChange: () => changes.push("changed") },
    });
    engine = Object.create(local, {
      info: { value: { ...local.info, fingerprint: "fp_other" } },
    });
    const asked = remote.generate(requests[0]![1]);
    await expect(asked).rejects.toMatchObject({ code: "unavailable" });
    expect(changes).toEqual(["changed"]);
  });
});
