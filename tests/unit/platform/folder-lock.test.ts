import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { withFolderLock } from "../../../src/platform/host/folder-lock.ts";
import { temporaryPath } from "../../../src/platform/host/temporary-name.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** What a lock of another process holds. */
function ownerOf(change: { host?: string; pid?: number; run?: string }): string {
  const [, host, pid, run] = /\.(\w{8})-(\d+)-(\w{8})-\d+\.tmp$/.exec(temporaryPath("x")) ?? [];
  return `lock.${change.host ?? host}-${change.pid ?? pid}-${change.run ?? run}-1.tmp`;
}

/** Linux has no process of such a number. */
const DEAD = 99_999_999;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("one works at a time, in a folder that is made, and nothing is left in it", async () => {
  const folder = join(await temporaryFolder(), "deep", "down");
  let working = 0;
  let waits = 0;
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 5 }, (_, i) =>
      withFolderLock(folder, "lock", { onWait: () => waits++ }, async () => {
        expect(++working).toBe(1);
        await pause(20);
        working--;
        order.push(i);
      }),
    ),
  );
  expect(order.sort()).toEqual([0, 1, 2, 3, 4]);
  expect(waits).toBe(4);
  expect(await readdir(folder)).toEqual([]);
});

test("what fails gives the folder back, and fails as it did", async () => {
  const folder = await temporaryFolder();
  const failed = withFolderLock(folder, "lock", {}, () => Promise.reject(new Error("mine")));
  await expect(failed).rejects.toThrow("mine");
  expect(await withFolderLock(folder, "lock", {}, async () => "next")).toBe("next");
});

test.each([
  ["a killed process of this machine", { pid: DEAD }],
  ["an earlier process of a container, which had our number", { run: "00000000" }],
])("what %s has left is taken away at once", async (_, change) => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "lock"), ownerOf(change));
  const started = performance.now();
  await Promise.all(
    [1, 2, 3].map(() => withFolderLock(folder, "lock", {}, () => readFile(join(folder, "lock")))),
  );
  expect(performance.now() - started).toBeLessThan(5_000);
  expect(await readdir(folder)).toEqual([]);
});

test.each([
  ["another machine's", ownerOf({ host: "00000000", pid: DEAD })],
  ["a living process's", ownerOf({ pid: process.ppid })],
  ["one that was never written", ""],
])("%s is waited for while it is touched, and no longer", async (_, owner) => {
  const folder = await temporaryFolder();
  const lock = join(folder, "lock");
  await writeFile(lock, owner);
  let isTouched = true;
  const touching = setInterval(() => utimes(lock, new Date(), new Date()), 50);
  const waiting = withFolderLock(folder, "lock", { abandonedMs: 400 }, async () => {
    expect(isTouched).toBe(false);
    return basename(await readFile(lock, "utf8"));
  });
  await pause(1000);
  clearInterval(touching);
  isTouched = false;
  expect(await waiting).toMatch(new RegExp(`-${process.pid}-\\w{8}-\\d+\\.tmp$`));
});

test("who works long touches it, so that nobody takes it away", async () => {
  const folder = await temporaryFolder();
  let isDone = false;
  const first = withFolderLock(folder, "lock", { touchMs: 20 }, async () => {
    await pause(800);
    isDone = true;
  });
  await pause(50);
  await withFolderLock(folder, "lock", { abandonedMs: 300 }, async () => expect(isDone).toBe(true));
  await first;
});

test("who waits can be told to stop", async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "lock"), ownerOf({ pid: process.ppid }));
  const signal = AbortSignal.timeout(150);
  const waiting = withFolderLock(folder, "lock", { signal }, async () => "never");
  await expect(waiting).rejects.toMatchObject({ code: "aborted" });
  expect(await readdir(folder)).toEqual(["lock"]);
});

test("a folder that cannot be written says so by name", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "lock"));
  await expect(withFolderLock(folder, "lock", {}, async () => "never")).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringMatching(/\/lock: EISDIR/),
  });
  await writeFile(join(folder, "file"), "");
  const failed = withFolderLock(join(folder, "file"), "lock", {}, async () => "never");
  await expect(failed).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringMatching(/file\/lock: ENOTDIR/),
  });
});
