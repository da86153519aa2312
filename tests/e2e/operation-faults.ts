/** Commands as processes that are killed, or refused, at one point of what they write; see fault-preload.mjs. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { onTestFinished } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { MAIN } from "./operation-model.ts";

const PRELOAD = pathToFileURL(join(packageRoot(), "tests", "e2e", "fault-preload.mjs")).href;

const RUN_TIMEOUT_MS = 180_000;

export interface Faults {
  /** Paths, or a server's address: what counts. */
  readonly under: string;
  /** One of `pointsOf`, or the number of a point. */
  readonly at?: string | number;
  readonly do?: string;
  readonly trace?: string;
}

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly faults?: Faults;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
}

/** `pronk` on Node, to its end. */
export function pronk(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { faults, env, cwd, input = "" } = options;
  const preload = faults ? ["--import", PRELOAD] : [];
  const child = spawn(process.execPath, [...preload, MAIN, ...args], {
    cwd,
    env: { ...process.env, ...env, ...(faults && { FAULTS: JSON.stringify(faults) }) },
    stdio: ["pipe", "pipe", "pipe"],
    timeout: RUN_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  child.stdin.on("error", () => undefined).end(input);
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, out, err }));
  });
}

/**
 * The points of a run that goes well, in order: `rename /manifest.json`, `write /manifest.json.tmp #2`. Without those that not
 * every run has: how often a download writes is the network's, and a lock is touched by the clock.
 */
export async function pointsOf(
  args: readonly string[],
  under: string,
  options: Omit<RunOptions, "faults"> = {},
): Promise<string[]> {
  const trace = join(folder(), "trace");
  const { code, err } = await pronk(args, { ...options, faults: { under, trace } });
  if (code !== 0) throw new Error(`pronk ${args.join(" ")}: ${err}`);
  const points = readFileSync(trace, "utf8").split("\n").filter(Boolean);
  return points.filter((point) => !/^write .*\.part #|^utimes /.test(point));
}

/** A folder of its own for one test. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "pronk-ops-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Temporary files that are left anywhere below. */
export function leftIn(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.(?:tmp|part)$/.test(name),
  );
}

/** Runs so many at a time: the cases are processes, which leave a core idle while they start. */
export async function inParallel<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
  lanes = 3,
): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}

/** A generator of numbers below `limit`, the same for the same seed: mulberry32. */
export function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}
