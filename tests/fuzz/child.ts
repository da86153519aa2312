/**
 * The process that runs a target: edits, runs, reports. Before each input its index and bytes are written to a file,
 * so that whoever watches still has them when this process hangs or dies.
 */
import { mkdirSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { edited } from "./edits.ts";
import { minimised } from "./minimise.ts";
import { kindOf, type Outcome, runOn } from "./outcome.ts";
import { Random } from "./random.ts";
import type { FuzzTarget } from "./target.ts";

export interface Order {
  readonly mode: "fuzz" | "replay";
  /** Where the current input is written. */
  readonly current: string;
  readonly seed: number;
  readonly first: number;
  readonly runs: number;
  readonly seconds: number;
  /** Where inputs that showed something new are kept from run to run. */
  readonly kept?: string;
  /** Ends with the first finding, as it was found. */
  readonly findsOne?: boolean;
  /** Of "replay". */
  readonly file?: string;
}

export interface Report {
  inputs: number;
  pastHeader: number;
  accepted: number;
  kept: number;
  slowestMs: number;
  slowestIndex: number;
  peakAllocated: number;
  peakRssMb: number;
  cpuSeconds: number;
}

export interface Finding {
  readonly fault: string;
  readonly index: number;
  /** base64 */
  readonly bytes: string;
}

/** Kept inputs at most: further ones take an older one's place. */
const MAX_KEPT = 2000;

/** How often the parent is one of those that showed something new, and how often one of the last of them. */
const FROM_KEPT = 0.7;
const FROM_LATEST = 0.3;
const LATEST = 32;

/** An input that takes longer is run again: on a busy machine one measurement says little. */
const SLOW_MS = 100;

/** The memory of the process may grow by so much in one input. */
const MAX_GROWTH_MB = 128;

/** Inputs before growth counts: code is compiled, caches are filled. */
const WARM_UP = 2000;

const MINIMISE_TRIES = 1500;

const REPORT_MS = 1000;

/** Of each kind of finding one is enough. */
const found = new Set<string>();

const send = (type: string, value: object): void => {
  writeSync(1, `${JSON.stringify({ type, ...value })}\n`);
};

export async function main(target: FuzzTarget): Promise<void> {
  const order: Order = JSON.parse(process.argv[2]!);
  if (order.mode === "replay") return replay(target, order);
  await fuzz(target, order).catch((error) => {
    console.error(error);
    process.exit(1);
  });
  // What a target left behind must not keep the process.
  process.exit(0);
}

/** Says what runs now, to whoever watches: each run of an input has its own time. */
function announcer(path: string): (index: number, input: Uint8Array) => void {
  const current = openSync(path, "w");
  const head = new Float64Array(3);
  return (index, input) => {
    writeSync(current, input, 0, input.length, head.byteLength);
    head.set([head[0]! + 1, index, input.length]);
    writeSync(current, head, 0, head.byteLength, 0);
  };
}

async function replay(target: FuzzTarget, { file, current }: Order): Promise<void> {
  const announce = announcer(current);
  for (const seed of await target.seeds()) {
    announce(-1, seed);
    await runOn(target, seed);
  }
  const input = new Uint8Array(readFileSync(file!));
  announce(0, input);
  const before = process.cpuUsage();
  const outcome = await runOn(target, input);
  const cpu = process.cpuUsage(before);
  send("outcome", { ...outcome, ms: (cpu.user + cpu.system) / 1000 });
  process.exit(0);
}

async function fuzz(target: FuzzTarget, order: Order): Promise<void> {
  const announce = announcer(order.current);
  const report: Report = {
    ...{ inputs: 0, pastHeader: 0, accepted: 0, kept: 0, slowestMs: 0, slowestIndex: -1 },
    ...{ peakAllocated: 0, peakRssMb: 0, cpuSeconds: 0 },
  };
  let late: string | undefined;
  const outOfBand = (error: unknown): void => {
    late = `unhandled: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  };
  process.on("unhandledRejection", outOfBand);
  process.on("uncaughtException", outOfBand);

  const seen = new Set<string>();
  const kept: Uint8Array[] = [];
  const seeds = [...(await target.seeds())];
  for (const [i, input] of seeds.entries()) {
    announce(-1, input);
    const { fault, accepted, features } = await runOn(target, input);
    if (fault || !accepted) throw new Error(`seed ${i} is refused: ${fault ?? features.join()}`);
    for (const feature of features) seen.add(feature);
  }
  for (const input of keptBefore(order.kept)) {
    announce(-1, input);
    const outcome = await runOn(target, input);
    if (add(outcome) && outcome.pastHeader) kept.push(input);
  }

  function add({ features }: Outcome): boolean {
    const before = seen.size;
    for (const feature of features) seen.add(feature);
    return seen.size > before;
  }

  const tellReport = (): void => {
    report.peakRssMb = Math.round(process.resourceUsage().maxRSS / 1024);
    const { user, system } = process.cpuUsage();
    report.cpuSeconds = (user + system) / 1e6;
    send("report", report);
  };
  let told = performance.now();
  const pool = [...seeds];
  const deadline = performance.now() + order.seconds * 1000;
  for (let index = order.first; index < order.runs; index++) {
    if ((index & 15) === 0) {
      const now = performance.now();
      if (now > deadline) break;
      // What is killed later has said by then how far it came.
      if (now - told > REPORT_MS) {
        tellReport();
        told = now;
      }
    }
    const random = new Random(order.seed, index);
    const latest = kept.length > 0 && random.chance(FROM_LATEST) ? kept.slice(-LATEST) : kept;
    const parent = random.pick(kept.length > 0 && random.chance(FROM_KEPT) ? latest : seeds);
    const input = edited(target, parent, random, pool);
    announce(index, input);

    const rss = process.resourceUsage().maxRSS;
    const started = performance.now();
    let outcome = await runOn(target, input);
    let ms = performance.now() - started;
    if (ms > SLOW_MS) {
      announce(index, input);
      const cpu = process.cpuUsage();
      outcome = await runOn(target, input);
      const { user, system } = process.cpuUsage(cpu);
      ms = Math.min(ms, (user + system) / 1000);
    }
    const growth = (process.resourceUsage().maxRSS - rss) / 1024;
    if (late) outcome = { ...outcome, fault: late };
    else if (ms > 1000) outcome = { ...outcome, fault: `hang: ${Math.round(ms)} ms` };
    else if (growth > MAX_GROWTH_MB && index - order.first > WARM_UP) {
      outcome = { ...outcome, fault: `memory: the process grew by ${Math.round(growth)} MB` };
    }
    late = undefined;

    report.inputs++;
    if (outcome.pastHeader) report.pastHeader++;
    if (outcome.accepted) report.accepted++;
    if (ms > report.slowestMs) [report.slowestMs, report.slowestIndex] = [ms, index];
    report.peakAllocated = Math.max(report.peakAllocated, outcome.allocated);
    if (outcome.fault && order.findsOne) {
      send("finding", findingOf(outcome.fault, index, input));
      break;
    } else if (outcome.fault) {
      const again = (bytes: Uint8Array): Promise<Outcome> => {
        announce(index, bytes);
        return runOn(target, bytes);
      };
      await tell(outcome.fault, index, input, again);
    } else if (add(outcome) && outcome.pastHeader) {
      report.kept++;
      if (kept.length < MAX_KEPT) kept.push(input);
      else kept[random.below(MAX_KEPT)] = input;
      pool.push(input);
      keep(order.kept, `${order.seed}-${index}`, input);
    }
  }
  tellReport();
}

async function tell(
  fault: string,
  index: number,
  input: Uint8Array,
  runAgain: (bytes: Uint8Array) => Promise<Outcome>,
): Promise<void> {
  const kind = kindOf(fault);
  if (found.has(kind)) return;
  found.add(kind);
  const canBeTried = !/^(?:hang|unhandled|memory: the process)/.test(fault);
  const small = canBeTried
    ? await minimised(
        input,
        async (bytes) => {
          const again = await runAgain(bytes);
          return again.fault !== undefined && kindOf(again.fault) === kind;
        },
        MINIMISE_TRIES,
      )
    : input;
  send("finding", findingOf(fault, index, small));
}

function findingOf(fault: string, index: number, input: Uint8Array): Finding {
  return { fault, index, bytes: Buffer.from(input).toString("base64") };
}

function keptBefore(folder: string | undefined): Uint8Array[] {
  if (folder === undefined) return [];
  mkdirSync(folder, { recursive: true });
  return readdirSync(folder)
    .sort()
    .slice(-MAX_KEPT)
    .map((name) => new Uint8Array(readFileSync(join(folder, name))));
}

function keep(folder: string | undefined, name: string, input: Uint8Array): void {
  if (folder !== undefined) writeFileSync(join(folder, `${name}.bin`), input);
}
