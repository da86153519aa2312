/** How much memory the process has used at most. */
import { readFileSync } from "node:fs";

/** Peak resident set in bytes. */
export function peakResidentBytes(): number {
  try {
    const status = readFileSync("/proc/self/status", "latin1");
    const kibibytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
    if (kibibytes > 0) return kibibytes * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}
