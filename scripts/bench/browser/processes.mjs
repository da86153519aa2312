// Processes of a browser, as Linux lists them.
import { readFileSync } from "node:fs";
import { processTree } from "../measured-child.mjs";

/**
 * Peak resident set, in 10^6 bytes, of the process that computes: of the renderers the largest, since
 * a browser keeps spare ones. undefined where there is no /proc.
 */
export function rendererPeakMb(browser) {
  const kibibytes = processTree(browser)
    // Renderers are forked and rename themselves: their arguments are one string then.
    .filter((pid) => read(pid, "cmdline").split(/[\0 ]/).includes("--type=renderer"))
    .map((pid) => Number(/^VmHWM:\s+(\d+) kB$/m.exec(read(pid, "status"))?.[1] ?? 0));
  return kibibytes.length > 0 ? (Math.max(...kibibytes) * 1024) / 1e6 : undefined;
}

/** False for one that has ended and that its parent has not asked about yet. */
export function isRunning(pid) {
  const state = /^State:\s+(\S)/m.exec(read(pid, "status"))?.[1];
  return state !== undefined && state !== "Z" && state !== "X";
}

/** Empty for what is gone: processes end while they are looked at. */
function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}
