// What a peer's process measures of itself, as `pronk bench` does.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

const COLD_LIMIT_MS = 120_000;

/** Milliseconds from the start of a process to the first bytes that it prints. */
export async function coldStartMs(program, args) {
  const started = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), COLD_LIMIT_MS);
  let firstMs;
  child.stdout.once("data", () => {
    firstMs = performance.now() - started;
  });
  child.stdout.resume();
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  clearTimeout(timer);
  if (code !== 0 || firstMs === undefined) throw new Error(`${program}: exit code ${code}`);
  return firstMs;
}

/** Peak resident set of this process, in 10^6 bytes. */
export function peakResidentMb() {
  try {
    const status = readFileSync("/proc/self/status", "latin1");
    const kibibytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
    if (kibibytes > 0) return (kibibytes * 1024) / 1e6;
  } catch {
    // Not Linux.
  }
  return (process.resourceUsage().maxRSS * 1024) / 1e6;
}
