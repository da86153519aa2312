/** `pronk` as a process of its own, whose peak memory and duration are known when it ends. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../../src/cli/runtimes.ts";

export interface Ended {
  /** null when it was ended by a signal. */
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  readonly ms: number;
  /** Peak resident set; undefined where the system does not say. */
  readonly peakBytes: number | undefined;
}

const LIMIT_MS = 60_000;

/** Runs first in the child: at its end it writes its peak to descriptor 3. */
const REPORT_PEAK = `
import { readFileSync, writeSync } from "node:fs";
process.on("exit", () => {
  try {
    writeSync(3, /^VmHWM:\\s+(\\d+) kB$/m.exec(readFileSync("/proc/self/status", "latin1"))[1]);
  } catch {}
});`;

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const preload = `data:text/javascript,${encodeURIComponent(REPORT_PEAK)}`;

export async function runPronk(args: readonly string[]): Promise<Ended> {
  const started = performance.now();
  const child = spawn(process.execPath, ["--import", preload, main, ...args], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  const texts = [1, 2, 3].map(async (descriptor) => {
    let text = "";
    for await (const chunk of child.stdio[descriptor] as NodeJS.ReadableStream) text += chunk;
    return text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  const [out, err, kibibytes] = await Promise.all(texts);
  const ms = performance.now() - started;
  const peakBytes = kibibytes ? Number(kibibytes) * 1024 : undefined;
  return { code, out, err, ms, peakBytes };
}
