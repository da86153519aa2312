/** How much memory the process has used at most. */
import { readFileSync } from "node:fs";

/** Peak resident set in bytes. */
export function peakResidentBytes(): number {
  return peakResidentBytesOf("self") ?? process.resourceUsage().maxRSS * 1024;
}

/** That of another process that runs; undefined where the system does not say. */
export function peakResidentBytesOf(pid: number | "self"): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const kibibytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
    return kibibytes > 0 ? kibibytes * 1024 : undefined;
  } catch {
    return undefined; // It has ended, or this is not Linux.
  }
}
