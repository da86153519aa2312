import { spawnSync } from "node:child_process";
import { mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeFolder, writeFileAtomically } from "../../../src/platform/host/atomic-file.ts";
import { outputFolder } from "../../../src/platform/host/output-folder.ts";
import { temporaryPath } from "../../../src/platform/host/temporary-name.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** As temporaryPath() names it, of another process. */
function nameOf(path: string, change: { host?: string; pid?: number; run?: string }): string {
  const [, host, pid, run] = /\.(\w{8})-(\d+)-(\w{8})-\d+\.tmp$/.exec(temporaryPath("x")) ?? [];
  return `${path}.${change.host ?? host}-${change.pid ?? pid}-${change.run ?? run}-1.tmp`;
}

/** Linux has no process of such a number. */
const DEAD = 99_999_999;

const YESTERDAY = Date.now() / 1000 - 90_000;

describe("what a process left half-written", () => {
  test.each([
    ["a killed process of this machine", { pid: DEAD }, false, true],
    ["an earlier process of a container, which had our number", { run: "00000000" }, false, true],
    ["a living process", { pid: process.ppid }, false, false],
    ["a living process, a day ago", { pid: process.ppid }, true, true],
    ["another machine", { host: "00000000", pid: DEAD }, false, false],
    ["another machine, a day ago", { host: "00000000", pid: DEAD }, true, true],
  ])("%s", async (_, change, isOld, isRemoved) => {
    const folder = await temporaryFolder();
    const left = nameOf(join(folder, "manifest.json"), change);
    await writeFile(left, "{");
    if (isOld) await utimes(left, YESTERDAY, YESTERDAY);
    await writeFileAtomically(join(folder, "other"), bytes("whole"));
    const names = await readdir(folder);
    expect(names.filter((name) => name.endsWith(".tmp"))).toHaveLength(isRemoved ? 0 : 1);
    expect(names).toContain("other");
  });

  test("files of others that end in .tmp stay", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "notes.tmp"), "mine");
    await utimes(join(folder, "notes.tmp"), YESTERDAY, YESTERDAY);
    await writeFileAtomically(join(folder, "other"), bytes("whole"));
    expect((await readdir(folder)).sort()).toEqual(["notes.tmp", "other"]);
  });

  test("large files, too", async () => {
    const folder = await temporaryFolder();
    await writeFile(nameOf(join(folder, "model.gguf"), { pid: DEAD }), "GG");
    const file = await outputFolder(folder).create("model.gguf");
    await file.write(bytes("GGUF"));
    await file.close();
    expect(await readdir(folder)).toEqual(["model.gguf"]);
  });
});

test("a folder that the system does not let anybody make is an error at once", async () => {
  // mkdir's own recursion never ends there on Node.
  await expect(makeFolder("/proc/pronk/pack")).rejects.toMatchObject({ code: "ENOENT" });
});

test("folders that many make at once are there for all", async () => {
  const folder = join(await temporaryFolder(), "a", "b", "c", "d");
  await Promise.all(Array.from({ length: 20 }, () => makeFolder(folder)));
  expect((await stat(folder)).isDirectory()).toBe(true);
});

test("a file where a folder has to be is named as such", async () => {
  const file = join(await temporaryFolder(), "file");
  await writeFile(file, "");
  await expect(makeFolder(join(file, "pack"))).rejects.toMatchObject({
    code: expect.stringMatching(/ENOTDIR|EEXIST/),
  });
});

test("behind a link is what is written, and the link stays", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "data"));
  await writeFile(join(folder, "data", "real"), "old");
  await symlink(join("data", "real"), join(folder, "link"));
  await writeFileAtomically(join(folder, "link"), bytes("new"));
  expect(await readFile(join(folder, "data", "real"), "utf8")).toBe("new");
  expect(await readdir(join(folder, "data"))).toEqual(["real"]);
});

test.skipIf(process.platform === "win32")(
  "what is no file is written to, and not replaced by one",
  async () => {
    const pipe = join(await temporaryFolder(), "pipe");
    expect(spawnSync("mkfifo", [pipe], { timeout: 5000 }).status).toBe(0);
    const [, text] = await Promise.all([
      writeFileAtomically(pipe, bytes("through")),
      readFile(pipe, "utf8"),
    ]);
    expect(text).toBe("through");
    expect((await stat(pipe)).isFIFO()).toBe(true);
    expect(await readdir(dirname(pipe))).toEqual(["pipe"]);
  },
);

test("a write that fails leaves what was there, and nothing beside it", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "list");
  await mkdir(path);
  await writeFile(join(path, "inside"), "mine");
  await expect(writeFileAtomically(path, bytes("x"))).rejects.toMatchObject({
    code: expect.stringMatching(/EISDIR|ENOTEMPTY|EPERM|EEXIST/),
  });
  expect(await readdir(folder)).toEqual(["list"]);
});
