/**
 * Random schedules: many requests at once over slots, chunks, prefix caches of two owners, snapshots, speculation, threads, stages,
 * adapters that come and go, readers that leave and outputs that are resumed. Each gives the bytes that it gives alone.
 *
 * PRONK_TEST_SCHEDULES=N runs so many of each kind, from PRONK_TEST_SEED on.
 */
import { expect, test } from "vitest";
import type { Batch, Runner } from "../../src/backends/backend.ts";
import type { LocalEngine } from "../../src/engine/create-engine.ts";
import { PronkError } from "../../src/errors.ts";
import type { GenerateRequest, TokenPart } from "../../src/generate/request.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import {
  type Job,
  openEngine,
  type Picker,
  picker,
  randomJobs,
  randomModel,
  runAlone,
  runJob,
  type ScheduledModel,
  type Seen,
} from "../support/random-schedules.ts";
import { staged } from "../support/staged.ts";
import { threaded } from "../support/threads.ts";
import { nextTask, toyModel } from "../unit/engine/toy-engine.ts";
import { type CreateRunner, wasm } from "./backends.ts";

const SCHEDULES = Number(process.env.PRONK_TEST_SCHEDULES ?? 2);
const FIRST_SEED = Number(process.env.PRONK_TEST_SEED ?? 1);
const seeds = Array.from({ length: SCHEDULES }, (_, i) => FIRST_SEED + i);

/** Jobs of a schedule, each run twice or more. */
const JOBS = 16;
const RUNS = 48;

interface Kind {
  readonly name: string;
  readonly create: (pick: Picker) => CreateRunner;
  /** A divided model has no adapters. */
  readonly hasAdapters: boolean;
}

const buildOf = (pick: Picker) => BUILDS[pick(BUILDS.length)];

const KINDS: readonly Kind[] = [
  { name: "one thread", create: (pick) => wasm(buildOf(pick)), hasAdapters: true },
  {
    name: "threads",
    create: (pick) => threaded(buildOf(pick), 2 + pick(2)),
    hasAdapters: true,
  },
  { name: "stages", create: (pick) => staged(buildOf(pick), 2 + pick(2)), hasAdapters: false },
];

/** One job of three is another owner's. */
const saltOf = (index: number): string | undefined => (index % 3 === 2 ? "other" : undefined);

/** Runs everything at once, as `pick` has it; gives what differed from `expected`. */
async function runSchedule(
  engine: LocalEngine,
  model: ScheduledModel,
  jobs: readonly Job[],
  expected: readonly Seen[],
  pick: Picker,
): Promise<{ differing: string[]; whole: number }> {
  const differing: string[] = [];
  let whole = 0;
  const wait = async (tasks: number): Promise<void> => {
    for (let n = pick(tasks); n > 0; n--) await nextTask();
  };
  const compare = (seen: Seen, index: number, how: string): void => {
    whole++;
    if (isSame(seen, expected[index])) return;
    differing.push(`${how}: ${JSON.stringify(jobs[index])}`);
  };
  const one = async (index: number): Promise<void> => {
    const job = jobs[index];
    await wait(200);
    const way = pick(6);
    const call = { cacheSalt: saltOf(index) };
    if (way === 0) {
      const abort = new AbortController();
      const cut = runJob(engine, job, { ...call, signal: abort.signal }).catch(
        (error: unknown) => error,
      );
      await wait(20);
      abort.abort();
      const outcome = await cut;
      if (!(outcome instanceof PronkError)) compare(outcome as Seen, index, "not cut in time");
      else expect(outcome.code).toBe("aborted");
    } else if (way === 1 && job.do === "generate") {
      const slow: TokenPart[] = [];
      for await (const part of engine.stream(job.request, call)) {
        slow.push(part);
        await wait(4);
      }
      compare(slow, index, "read late");
    } else if (way === 2 && job.do === "generate") {
      const parts = expected[index] as readonly TokenPart[];
      const output_ids = parts.slice(0, pick(parts.length)).map(({ token }) => token);
      const resumed = { ...job.request, output_ids } as GenerateRequest;
      compare(await runJob(engine, { do: "generate", request: resumed }, call), index, "resumed");
    } else compare(await runJob(engine, job, call), index, "among others");
  };
  let isOver = false;
  const snapshots = async (): Promise<void> => {
    while (!isOver) {
      const found = jobs.flatMap((job, i) => (job.do === "snapshot" ? [i] : []));
      if (found.length === 0) return;
      // The engine keeps the bytes.
      const bytes = (expected[found[pick(found.length)]] as Uint8Array).slice();
      const { id } = await engine.loadSnapshot(bytes);
      await wait(60);
      if (pick(2) === 0 && engine.snapshots.some((snapshot) => snapshot.id === id)) {
        engine.unloadSnapshot(id);
      }
      await wait(60);
    }
  };
  // Beside those that requests name.
  const strangers = async (): Promise<void> => {
    const [folder] = model.adapters.values();
    while (!isOver && folder) {
      await engine.loadAdapter("stranger", folder);
      await wait(40);
      await engine.unloadAdapter("stranger");
      await wait(40);
    }
  };
  // Out of the caches and into another slot, or nowhere.
  const storage = async (): Promise<void> => {
    while (!isOver) {
      const index = pick(jobs.length);
      const job = jobs[index];
      if (job.do === "generate") {
        const { prompt_ids: ids, adapters } = job.request;
        const pieces: Uint8Array[] = [];
        const write = (piece: Uint8Array): void => void pieces.push(piece.slice());
        const cacheSalt = saltOf(index);
        const held = await engine.prefixes.save({ ids, adapters, cacheSalt }, write);
        await wait(30);
        if (held > 0) await engine.prefixes.restore({ adapters, cacheSalt }, () => pieces);
      }
      await wait(30);
    }
  };
  const beside = [snapshots(), strangers(), storage()];
  await Promise.all(Array.from({ length: RUNS }, (_, i) => one(i % jobs.length)));
  isOver = true;
  await Promise.all(beside);
  return { differing, whole };
}

function isSame(a: unknown, b: unknown): boolean {
  if (typeof a === "number") return Object.is(a, b);
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) return a === b;
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) {
    const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
      Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
    return bytes(a).equals(bytes(b));
  }
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => isSame(a[key as keyof typeof a], b[key as keyof typeof b]))
  );
}

interface Scheduled {
  readonly differing: string[];
  readonly whole: number;
  readonly stats: ReturnType<LocalEngine["stats"]>;
}

async function schedule(
  { create, hasAdapters }: Kind,
  seed: number,
  wrap?: (runner: Runner) => Runner,
): Promise<Scheduled> {
  const pick = picker(seed);
  const found = await randomModel(pick);
  const model = hasAdapters ? found : { ...found, adapters: new Map<string, never>() };
  const jobs = randomJobs(pick, JOBS, model);
  const alone = wasm(BUILDS[0]);
  const expected: Seen[] = [];
  for (const job of jobs) expected.push(await runAlone(model, alone, job));

  const slots = 1 + pick(5);
  const maxRows = slots + pick(30);
  const maxLogits = Math.min(maxRows, slots + pick(16));
  const sizes = { slots, maxRows, maxLogits };
  let ms = 0;
  const how = pick(3);
  const draft = how === 0 ? { draft: toyModel({ vocab: 64, ctx: 96, slots: 8 }) } : undefined;
  const engine = await openEngine(
    model,
    create(pick),
    sizes,
    {
      speculate: draft ?? (how === 1 ? "off" : "lookup"),
      prefillRows: 1 + pick(maxRows),
      now: () => (ms += pick(5)),
    },
    wrap,
  );
  for (const [name, folder] of model.adapters) await engine.loadAdapter(name, folder);
  const { differing, whole } = await runSchedule(engine, model, jobs, expected, pick);
  const stats = engine.stats();
  await engine.dispose();
  return { differing, whole, stats };
}

test.each(KINDS)(
  "on $name: whatever runs beside a request, it gives what it gives alone",
  async (kind) => {
    let cached = 0;
    let ahead = 0;
    for (const seed of seeds) {
      const { differing, whole, stats } = await schedule(kind, seed);
      expect(differing, `PRONK_TEST_SEED=${seed} PRONK_TEST_SCHEDULES=1`).toEqual([]);
      expect(whole).toBeGreaterThan(RUNS / 2);
      expect(stats).toMatchObject({ busy: 0, queued: 0 });
      cached += stats.cached_tokens;
      ahead += stats.accepted_draft_tokens;
    }
    // Otherwise nothing of what is compared would have happened.
    expect(cached).toBeGreaterThan(0);
    if (SCHEDULES > 1) expect(ahead).toBeGreaterThan(0);
  },
);

/** Faults as each of what is mixed here might have one: a single bit of a row, under one condition. */
const FAULTS: readonly (readonly [string, (batch: Batch) => boolean])[] = [
  ["in company", ({ spans }) => spans.length > 2],
  ["of a chunk", ({ spans }) => spans.some(({ start, count }) => start > 0 && count > 1)],
  ["behind a cache", ({ spans }) => spans.some(({ start, count }) => start > 20 && count > 4)],
];

/** The runner, whose first row of logits has another last bit after batches as `isHit` says. */
function withFault(runner: Runner, isHit: (batch: Batch) => boolean): Runner {
  let isWrong = false;
  return new Proxy(runner, {
    get(target, name) {
      if (name === "forward") {
        return (batch: Batch) => {
          isWrong = batch.logitsRows.length > 0 && isHit(batch);
          return target.forward(batch);
        };
      }
      if (name === "logits") {
        return (index: number) => {
          const logits = target.logits(index);
          if (isWrong && index === 0) new Uint32Array(logits.buffer, logits.byteOffset, 9)[8] ^= 1;
          return logits;
        };
      }
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test.each(FAULTS)("a fault %s is found", async (_, isHit) => {
  let found = 0;
  for (let seed = 1; seed <= 4 && found === 0; seed++) {
    const { differing } = await schedule(KINDS[0], seed, (runner) => withFault(runner, isHit));
    found += differing.length;
  }
  expect(found).toBeGreaterThan(0);
});
