// What a peer's process measures of itself, as `pronk bench` does.
import { spawn } from "node:child_process";
import {
  peakResidentBytes,
  peakResidentBytesOf,
} from "../../dist/src/platform/host/peak-memory.js";

const COLD_LIMIT_MS = 120_000;

/** From the start of a process to the first bytes that it prints: milliseconds, and its memory until then. */
export async function coldStart(program, args) {
  const started = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), COLD_LIMIT_MS);
  let first;
  child.stdout.once("data", () => {
    const ms = performance.now() - started;
    first = { ms, mb: peakResidentBytesOf(child.pid) / 1e6 };
  });
  child.stdout.resume();
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  clearTimeout(timer);
  if (code !== 0 || first === undefined) throw new Error(`${program}: exit code ${code}`);
  return first;
}

/** The figures of such starts, as `pronk bench` names them. */
export function coldFigures(starts) {
  const memory = starts.map(({ mb }) => mb).filter(Number.isFinite);
  const figures = { cold_ttft_ms: starts.map(({ ms }) => ms) };
  return memory.length > 0 ? { ...figures, cold_rss_mb: memory } : figures;
}

/** Peak resident set of this process, in 10^6 bytes. */
export function peakResidentMb() {
  return peakResidentBytes() / 1e6;
}
