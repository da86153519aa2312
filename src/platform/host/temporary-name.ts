/**
 * Names of what is not whole yet. They say whose it is (`NAME.HOST-PID-RUN-N.tmp`), so that what a killed process left is
 * known at once by the next one on this machine, and what another machine writes into a shared folder is left alone.
 */
import { createHash, randomBytes } from "node:crypto";
import { readlinkSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** Nobody writes one file for a day; a clock that jumps by hours must not make it look so. */
const ABANDONED_MS = 24 * 3600_000;

/** A download that nobody went on with for so long is of a version that nobody asks for any more. */
const STALE_PART_MS = 7 * ABANDONED_MS;

const TEMPORARY = /\.([0-9a-f]{8})-(\d+)-([0-9a-f]{8})-\d+\.tmp$/;

/** Of versions that did not say whose a file is. */
const UNNAMED = /\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

const PART = /\.[0-9a-f]{16}\.(?:[0-9a-f]{8}-)?\d+-\d+\.part$/;

/** Where process ids mean the same: a container has its own, also where it shares the host's name. */
export const HOST: string = createHash("sha256")
  .update(`${hostname()} ${pidNamespace()}`)
  .digest("hex")
  .slice(0, 8);

/** Containers that are started again have the same process ids. */
const RUN = randomBytes(4).toString("hex");

let made = 0;

/** Beside a path, and nobody else's. */
export function temporaryPath(path: string): string {
  return `${path}.${HOST}-${process.pid}-${RUN}-${++made}.tmp`;
}

/** Whether a process of this machine lives; 0 never does. */
export function isAlive(pid: number): boolean {
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}

/** Whether the process that made such a name has ended; false also where nobody here can tell. */
export function hasEnded(name: string): boolean {
  const [, host, pid, run] = TEMPORARY.exec(name) ?? [];
  if (host !== HOST) return false;
  return Number(pid) === process.pid ? run !== RUN : !isAlive(Number(pid));
}

const swept = new Map<string, Promise<void>>();

/** Removes what processes that ended left half-written in a folder; once in the life of this one. Never throws. */
export function removeAbandoned(folder: string): Promise<void> {
  let sweeping = swept.get(folder);
  if (sweeping === undefined) {
    sweeping = sweep(folder).catch(() => undefined);
    swept.set(folder, sweeping);
  }
  return sweeping;
}

async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!(await isAbandoned(folder, name))) continue;
    // Another process may be faster.
    await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

async function isAbandoned(folder: string, name: string): Promise<boolean> {
  const isPart = PART.test(name);
  const [, host, pid] = TEMPORARY.exec(name) ?? [];
  if (host === undefined && !isPart && !UNNAMED.test(name)) return false;
  if (hasEnded(name)) return true;
  if (host === HOST && Number(pid) === process.pid) return false;
  const found = await stat(join(folder, name)).catch(() => undefined);
  return (
    found !== undefined && Date.now() - found.mtimeMs > (isPart ? STALE_PART_MS : ABANDONED_MS)
  );
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return ""; // not Linux
  }
}
