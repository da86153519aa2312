/** Child processes that end with all that they started: tools such as wrangler and pip leave the work to processes of their own. */
import type { ChildProcess } from "node:child_process";
import process from "node:process";

/** For spawn(): the child leads a group, which one signal reaches. Windows has none. */
export const OWN_GROUP: { readonly detached: boolean } = { detached: process.platform !== "win32" };

/** Signals the group of a child that was started with OWN_GROUP. */
export function signalGroup(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    if (child.pid !== undefined && OWN_GROUP.detached) process.kill(-child.pid, signal);
    else child.kill(signal);
  } catch {
    // It has ended.
  }
}

/** Ends a group at once, and stops listening to it: what escaped from it may hold the other ends of its pipes. */
export function killGroup(child: ChildProcess): void {
  signalGroup(child, "SIGKILL");
  child.stdout?.destroy();
  child.stderr?.destroy();
}
