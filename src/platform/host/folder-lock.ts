/**
 * A folder for one process at a time: a file in it names who is at work, and is touched all the while. What a killed
 * process leaves of it is taken away at once where its number tells, else when it has not been touched for a minute, by the
 * clock of who waits: machines that share a folder need not agree on the time.
 */
import { open, readFile, rename, stat, unlink, utimes } from "node:fs/promises";
import { basename, join } from "node:path";
import { throwIfAborted } from "../../errors.ts";
import { timerSleep } from "../../sources/sleep.ts";
import { makeFolder } from "./atomic-file.ts";
import { onDisk } from "./disk-error.ts";
import { hasEnded, temporaryPath } from "./temporary-name.ts";

const TOUCH_MS = 5_000;
const ABANDONED_MS = 60_000;
const LOOK_MS = 100;

export interface FolderLockOptions {
  readonly signal?: AbortSignal;
  /** Called once, where somebody else is at work. */
  readonly onWait?: () => void;
  /** Default 60 s. */
  readonly abandonedMs?: number;
  /** Default 5 s. */
  readonly touchMs?: number;
}

/**
 * Runs `work` while nobody else runs theirs under the same name in the folder, which is made if need be.
 *
 * @throws PronkError "source_failed" where the disk refuses; "aborted"; what `work` throws.
 */
export async function withFolderLock<Result>(
  folder: string,
  name: string,
  options: FolderLockOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  const path = join(folder, name);
  const owner = basename(temporaryPath(path));
  await onDisk(path, async () => {
    await makeFolder(folder);
    await acquire(path, owner, options);
  });
  const touching = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, options.touchMs ?? TOUCH_MS);
  try {
    return await work();
  } finally {
    clearInterval(touching);
    // Left where the disk refuses: the process that it names has ended by the time somebody asks.
    await release(path, owner).catch(() => undefined);
  }
}

async function acquire(
  path: string,
  owner: string,
  { signal, onWait, abandonedMs = ABANDONED_MS }: FolderLockOptions,
): Promise<void> {
  let seen: string | undefined;
  let since = 0;
  while (!(await create(path, owner))) {
    throwIfAborted(signal);
    const holder = await ownerOf(path);
    const found = await stat(path).catch(unlessMissing);
    if (holder === undefined || found === undefined) continue; // it has just gone
    const state = `${holder} ${found.mtimeMs}`;
    if (seen === undefined) onWait?.();
    if (state !== seen) since = performance.now();
    seen = state;
    if (hasEnded(holder) || performance.now() - since > abandonedMs) await takeAway(path, holder);
    else await timerSleep(LOOK_MS, signal);
  }
}

/** @returns whether it is ours. */
async function create(path: string, owner: string): Promise<boolean> {
  try {
    const file = await open(path, "wx");
    try {
      await file.writeFile(owner);
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") return false;
    await unlink(path).catch(() => undefined);
    throw error;
  }
  // Who stood still between the two may have been taken for one that has ended.
  return (await ownerOf(path)) === owner;
}

/** By a rename, which only one of several wins; what turns out to be a new one is put back. */
async function takeAway(path: string, holder: string): Promise<void> {
  const aside = temporaryPath(path);
  try {
    await rename(path, aside);
  } catch {
    return; // another process was faster
  }
  if ((await ownerOf(aside)) === holder) await unlink(aside);
  else await rename(aside, path);
}

async function release(path: string, owner: string): Promise<void> {
  if ((await ownerOf(path)) === owner) await unlink(path);
}

/** undefined where there is none. */
function ownerOf(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(unlessMissing);
}

function unlessMissing(error: { code?: string }): undefined {
  if (error.code !== "ENOENT") throw error;
}
