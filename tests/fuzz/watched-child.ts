/** Starts a target's process and watches it: what hangs is killed, what dies is noticed, and the input is kept. */
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import type { Finding, Order, Report } from "./child.ts";

/** Of its own time, not of the clock: other processes must not make a finding. */
const HANG_CPU_MS = 1000;

/** Nothing waits: what neither computes nor ends waits for something that will not come. */
const HANG_WALL_MS = 30_000;

const LOOK_MS = 100;

/** Of the process' JavaScript heap. */
const HEAP_MB = 256;

export interface Ended {
  readonly report: Report | undefined;
  readonly findings: readonly Finding[];
  /** Of "replay". */
  readonly outcome: { readonly fault?: string; readonly ms: number } | undefined;
  /** Why it did not end by itself, and on which input. */
  readonly broken: Finding | undefined;
}

export function runChild(bundle: string, order: Order, limitMs: number): Promise<Ended> {
  const flags = [`--max-old-space-size=${HEAP_MB}`, "--enable-source-maps"];
  // An earlier child's.
  rmSync(order.current, { force: true });
  const child = spawn(process.execPath, [...flags, bundle, JSON.stringify(order)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr = (stderr + text).slice(-4000)));

  const started = Date.now();
  let killed: string | undefined;
  let last = { count: -1, cpu: 0, wall: Date.now() };
  const timer = setInterval(() => {
    const { count, index } = currentInput(order.current);
    const cpu = cpuMs(child.pid);
    const wall = Date.now();
    if (count !== last.count) last = { count, cpu, wall };
    else if (cpu - last.cpu > HANG_CPU_MS && index >= 0) kill(`hang: more than ${HANG_CPU_MS} ms`);
    else if (wall - last.wall > HANG_WALL_MS) kill("hang: waits without an end");
    if (wall - started > limitMs) kill("the process took too long");
  }, LOOK_MS);
  const kill = (why: string): void => {
    killed ??= why;
    child.kill("SIGKILL");
  };

  return new Promise((take) => {
    child.on("close", (code) => {
      clearInterval(timer);
      const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
      const said = lines.map((line) => JSON.parse(line));
      const report = said.filter(({ type }) => type === "report").at(-1);
      const outcome = said.find(({ type }) => type === "outcome");
      const findings = said.filter(({ type }) => type === "finding");
      const isWhole = killed === undefined && code === 0 && (report ?? outcome) !== undefined;
      const { index, bytes } = currentInput(order.current);
      const fault = killed ?? crash(code, stderr);
      take({ report, outcome, findings, broken: isWhole ? undefined : { fault, index, bytes } });
    });
  });
}

function crash(code: number | null, stderr: string): string {
  if (/heap out of memory|Allocation failed/i.test(stderr))
    return `memory: more than ${HEAP_MB} MB of heap`;
  if (code === 13) return "hang: waits without an end";
  return `crash: exit code ${code}: ${stderr.slice(-1500)}`;
}

interface Current {
  /** Of the inputs so far: what stays the same for long hangs. */
  readonly count: number;
  readonly index: number;
  readonly bytes: string;
}

const NONE: Current = { count: 0, index: -1, bytes: "" };

/** What the child wrote before it ran it. */
function currentInput(path: string): Current {
  let all: Buffer;
  try {
    all = readFileSync(path);
  } catch {
    return NONE;
  }
  if (all.length < 24) return NONE;
  const [count = 0, index = 0, length = 0] = [0, 8, 16].map((at) => all.readDoubleLE(at));
  return { count, index, bytes: all.subarray(24, 24 + length).toString("base64") };
}

/** Milliseconds that the process has computed; the clock's where the system does not say. */
function cpuMs(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Date.now();
  }
}
