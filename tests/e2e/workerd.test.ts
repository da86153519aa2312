/** The memory of an isolate with a model in it. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startWorkerd } from "../../src/cli/workerd.ts";
import { ANSWER_IDS, QUESTION, SMALL_PACK } from "./environment.ts";

/**
 * A Worker's 128 MB. Local workerd does not enforce them, and its R2 simulator works in the same
 * process, so that the growth seen here is an upper bound.
 */
const ISOLATE_BYTES = 128_000_000;

/** What has to be there at least, or the measurement is wrong. */
const SMALL_WEIGHT_BYTES = 90_000_000;

const TIMEOUT_MS = 60_000;

test.skipIf(process.platform !== "linux")("the model fits one isolate", async () => {
  const bucketFolder = await mkdtemp(join(tmpdir(), "pronk-r2-"));
  onTestFinished(() => rm(bucketFolder, { recursive: true, force: true }));
  // Filling the bucket takes memory of its own: another process does that.
  await (await startWorkerd("cloudflare", SMALL_PACK, { bucketFolder })).close();

  const before = workerdProcesses();
  const { url, close } = await startWorkerd("cloudflare", SMALL_PACK, { bucketFolder });
  onTestFinished(close);
  const [pid] = workerdProcesses().filter((found) => !before.includes(found));
  const base = memoryOf(pid, "VmRSS");
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "smollm2-135m-instruct",
      messages: [{ role: "user", content: QUESTION }],
      temperature: 0,
      return_token_ids: true,
    }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  expect((await response.json()).choices[0].token_ids).toEqual(ANSWER_IDS);
  const growth = memoryOf(pid, "VmHWM") - base;
  console.log(`workerd: ${(growth / 1e6).toFixed(0)} MB above ${(base / 1e6).toFixed(0)} MB`);
  expect(growth).toBeGreaterThan(SMALL_WEIGHT_BYTES);
  expect(growth).toBeLessThan(ISOLATE_BYTES);
});

/** Every workerd that is a child of this process. */
function workerdProcesses(): number[] {
  const lines = execFileSync("ps", ["-eo", "pid,ppid,args"], { encoding: "utf8" }).split("\n");
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, program]) => Number(parent) === process.pid && /workerd/.test(program))
    .map(([pid]) => Number(pid));
}

function memoryOf(pid: number, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
}
