/** The command: see scripts/fuzz.mjs. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundleTarget, plantedFault } from "./bundle.ts";
import type { Finding, Order, Report } from "./child.ts";
import { minimised } from "./minimise.ts";
import { kindOf } from "./outcome.ts";
import { runChild } from "./watched-child.ts";

/** Of each target in CI. */
const CI_SECONDS = 12;

/** Of each planted fault at most: most are found within five seconds, one takes twenty of a busy core. */
const PLANTED_SECONDS = 60;
const CI_SEED = 20261122;

/** Targets at a time: the machines of CI have two cores. */
const AT_ONCE = 2;

/** A target that dies as often has said enough. */
const MAX_RESTARTS = 10;

/** At least this share of inputs has to get past the first header check. */
const MIN_PAST = 0.3;

/** Processes that making a hang or a crash smaller may take; each takes a second. */
const SLOW_TRIES = 24;

const START_MS = 30_000;
mkdirSync(".cache/fuzz", { recursive: true });
const folder = mkdtempSync(".cache/fuzz/run-");
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const corpus = "tests/fuzz/corpus";

interface Found extends Finding {
  readonly file: string;
}

interface Result {
  readonly target: string;
  readonly report: Report;
  readonly found: readonly Found[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ci: { type: "boolean", default: false },
    "self-test": { type: "boolean", default: false },
    seconds: { type: "string" },
    runs: { type: "string" },
    seed: { type: "string" },
    replay: { type: "string" },
  },
});

export async function main(): Promise<boolean> {
  const all = readdirSync("tests/fuzz/targets")
    .filter((name) => name.endsWith(".ts"))
    .map((name) => name.slice(0, -3));
  const unknown = positionals.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new Error(`no target ${unknown.join()}; there are: ${all.join()}`);
  const targets = positionals.length > 0 ? positionals : all;
  if (values.replay !== undefined) return replay(targets, values.replay);
  if (values["self-test"]) return (await inTurns(targets, selfTest)).every(Boolean);
  console.log(`seed ${seed}`);
  const results = await inTurns(targets, fuzz);
  const inputs = results.reduce((sum, { report }) => sum + report.inputs, 0);
  const cpu = results.reduce((sum, { report }) => sum + report.cpuSeconds, 0);
  console.log(`${inputs} inputs in ${results.length} targets, ${Math.round(cpu)} s of CPU`);
  return results.every(isClean);
}

const isFixed = values.ci || values["self-test"];
const seed = Number(values.seed ?? (isFixed ? CI_SEED : Date.now() % 2 ** 31));
/** Without a seed of its own a run goes on from what earlier ones kept. */
const goesOn = values.seed === undefined && !isFixed;
const seconds = Number(values.seconds ?? (values.runs === undefined ? CI_SECONDS : 3600));
const runs = Number(values.runs ?? Number.MAX_SAFE_INTEGER);

async function inTurns<T>(
  targets: readonly string[],
  work: (name: string) => Promise<T>,
): Promise<T[]> {
  const waiting = [...targets.entries()];
  const results: T[] = [];
  const next = async (): Promise<void> => {
    for (let one = waiting.shift(); one; one = waiting.shift())
      results[one[0]] = await work(one[1]);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  return results;
}

async function fuzz(target: string): Promise<Result> {
  const bundle = join(folder, `${target}.mjs`);
  await bundleTarget(target, bundle);
  const report = emptyReport();
  const faults: Finding[] = [];
  const until = Date.now() + seconds * 1000;
  let first = 0;
  for (let starts = 0; starts <= MAX_RESTARTS && first < runs; starts++) {
    const left = Math.max(0.5, (until - Date.now()) / 1000);
    const ended = await runChild(bundle, orderOf(target, first, left), left * 1000 + START_MS);
    faults.push(...ended.findings);
    if (ended.report) addReport(report, ended.report);
    if (!ended.broken) break;
    faults.push(ended.broken);
    // Before the first input: seeds that are refused, a bundle that does not start.
    if (ended.broken.index < 0 || Date.now() > until) break;
    first = ended.broken.index + 1;
  }
  const found: Found[] = [];
  for (const fault of firstOfEachKind(faults)) found.push(await save(target, bundle, fault));
  const result = { target, report, found };
  print(result);
  return result;
}

function orderOf(target: string, first: number, secondsLeft: number): Order {
  return {
    mode: "fuzz",
    current: join(folder, `${target}.current`),
    ...{ seed, first, runs, seconds: secondsLeft },
    ...(goesOn && { kept: join(".cache/fuzz/kept", target) }),
  };
}

function firstOfEachKind(faults: readonly Finding[]): Finding[] {
  return [
    ...new Map(
      faults.map((fault) => [kindOf(fault.fault), fault]).reverse() as [string, Finding][],
    ).values(),
  ];
}

/** Whether the planted fault is found in CI's time. */
async function selfTest(target: string): Promise<boolean> {
  const planted = await plantedFault(target, join(folder, `${target}.planted.mjs`));
  const bundle = join(folder, `${target}.faulty.mjs`);
  await bundleTarget(target, bundle, planted);
  const started = Date.now();
  const order = { ...orderOf(target, 0, PLANTED_SECONDS), findsOne: true };
  const ended = await runChild(bundle, order, PLANTED_SECONDS * 1000 + START_MS);
  const [fault] = [...ended.findings, ...(ended.broken ? [ended.broken] : [])];
  const after = ((Date.now() - started) / 1000).toFixed(1);
  const isFound = fault !== undefined && fault.index >= 0 && !(await isFault(target, fault));
  const nothing = fault
    ? `what is found without it: ${fault.fault}`
    : `nothing in ${PLANTED_SECONDS} s`;
  const how = isFound ? `input ${fault.index}, ${fault.fault.split("\n")[0]}` : nothing;
  const mark = isFound ? "ok" : "MISSED";
  console.log(plain(`${mark} ${target}: ${planted.name}: ${how} (${after} s)`));
  return isFound;
}

/** Whether the sources as they are have it too: then it is not the planted fault that was found. */
async function isFault(target: string, { bytes }: Finding): Promise<boolean> {
  const bundle = join(folder, `${target}.mjs`);
  await bundleTarget(target, bundle);
  return isBroken(target, bundle, Buffer.from(bytes, "base64"));
}

/** Makes it as small as it gets and writes it to the corpus, which `npm test` replays. */
async function save(target: string, bundle: string, finding: Finding): Promise<Found> {
  // Before the first input: the target's own fault.
  if (finding.index < 0) return { ...finding, file: "" };
  let bytes: Uint8Array = Buffer.from(finding.bytes, "base64");
  if (/^(?:hang|memory: more than|crash)/.test(finding.fault)) {
    bytes = await minimised(bytes, (smaller) => isBroken(target, bundle, smaller), SLOW_TRIES);
  }
  const digest = createHash("sha256").update(bytes).digest("hex").slice(0, 12);
  const file = join(corpus, target, `${digest}.bin`);
  mkdirSync(join(corpus, target), { recursive: true });
  if (!existsSync(file)) writeFileSync(file, bytes);
  return { ...finding, file };
}

/** What was found may hold what must not reach a terminal. */
function plain(text: string): string {
  return text.replace(/[^\n -~]/g, (character) => {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
}

async function isBroken(target: string, bundle: string, bytes: Uint8Array): Promise<boolean> {
  const file = join(folder, `${target}.smaller`);
  writeFileSync(file, bytes);
  const order = { ...orderOf(target, 0, 1), mode: "replay" as const, file };
  const { broken, outcome } = await runChild(bundle, order, START_MS);
  return broken !== undefined || outcome?.fault !== undefined || (outcome?.ms ?? 0) > 1000;
}

async function replay(targets: readonly string[], file: string): Promise<boolean> {
  const [target] = targets;
  if (target === undefined || targets.length > 1) throw new Error("--replay needs one target");
  const bundle = join(folder, `${target}.mjs`);
  await bundleTarget(target, bundle);
  const order = { ...orderOf(target, 0, 1), mode: "replay" as const, file };
  const ended = await runChild(bundle, order, START_MS);
  console.log(ended.broken?.fault ?? ended.outcome);
  return !ended.broken && ended.outcome?.fault === undefined;
}

function isClean({ report, found }: Result): boolean {
  return found.length === 0 && report.inputs > 0 && report.pastHeader >= MIN_PAST * report.inputs;
}

function print({ target, report, found }: Result): void {
  const share = (part: number): string =>
    `${Math.round((100 * part) / Math.max(1, report.inputs))} %`;
  console.log(
    [
      `${target}: ${report.inputs} inputs`,
      `${share(report.pastHeader)} past the header`,
      `${share(report.accepted)} accepted`,
      `${report.kept} kept`,
      `slowest ${report.slowestMs.toFixed(1)} ms (input ${report.slowestIndex})`,
      `allocated ${(report.peakAllocated / 2 ** 20).toFixed(1)} MiB at most`,
      `process ${report.peakRssMb} MB`,
      `${report.cpuSeconds.toFixed(1)} s of CPU`,
    ].join(", "),
  );
  for (const { fault, index, file } of found) {
    console.log(`  FOUND at input ${index} of seed ${seed}: ${plain(fault)}`);
    if (file) console.log(`  again: npm run fuzz -- ${target} --replay ${file}`);
  }
}

function emptyReport(): Report {
  return {
    ...{ inputs: 0, pastHeader: 0, accepted: 0, kept: 0, slowestMs: 0, slowestIndex: -1 },
    ...{ peakAllocated: 0, peakRssMb: 0, cpuSeconds: 0 },
  };
}

function addReport(sum: Report, more: Report): void {
  for (const key of ["inputs", "pastHeader", "accepted", "kept", "cpuSeconds"] as const)
    sum[key] += more[key];
  for (const key of ["peakAllocated", "peakRssMb"] as const)
    sum[key] = Math.max(sum[key], more[key]);
  if (more.slowestMs > sum.slowestMs) {
    [sum.slowestMs, sum.slowestIndex] = [more.slowestMs, more.slowestIndex];
  }
}
