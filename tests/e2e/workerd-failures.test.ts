/** A kernel that traps and a memory that is refused, in a real workerd: one clean error, then all is as before. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { startWorkerd } from "../../src/cli/workerd.ts";
import { withTrap } from "../support/trapping-kernels.ts";
import { ANSWER_IDS, SMALL_PACK } from "./environment.ts";
import { readEvents } from "./event-stream.ts";
import { chatBody } from "./faults-pack.ts";
import { residentBytes, workerdProcesses } from "./isolate-memory.ts";

/** Half of what a second memory of the model's would be. */
const MOST_GROWTH_BYTES = 50_000_000;

/** Which nobody asks for, and which the model does not choose by itself. */
const TRAP_TOKEN = 12_345;

const MODEL = "smollm2-135m-instruct";

function post(url: string, path: string, body: Record<string, unknown>): Promise<Response> {
  return fetch(`${url}/v1/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(180_000),
  });
}

async function expectAnswer(url: string): Promise<void> {
  const response = await post(url, "chat/completions", chatBody({}));
  expect(response.status).toBe(200);
  const { choices } = (await response.json()) as { choices: { token_ids: number[] }[] };
  expect(choices[0]?.token_ids).toEqual(ANSWER_IDS);
}

test.skipIf(process.platform !== "linux")(
  "after a trap every request gets one error, the next is answered, by as much memory as before",
  async () => {
    const before = workerdProcesses();
    const workerd = await startWorkerd("cloudflare", SMALL_PACK, {
      patchKernels: (wasm) => withTrap(wasm, TRAP_TOKEN),
    });
    try {
      const { url } = workerd;
      const [pid] = workerdProcesses().filter((found) => !before.includes(found));
      await expectAnswer(url);
      const base = residentBytes(pid!, "peak");
      for (let i = 0; i < 3; i++) {
        // One that runs into it, and one that waits for its slot.
        const both = await Promise.all([
          post(url, "completions", { model: MODEL, prompt: [TRAP_TOKEN], max_tokens: 4 }),
          post(url, "completions", { model: MODEL, prompt: [TRAP_TOKEN], max_tokens: 4 }),
        ]);
        for (const response of both) {
          expect(response.status).toBe(500);
          expect(await response.json()).toMatchObject({
            error: { code: "engine_failed", type: "server_error" },
          });
        }
        await expectAnswer(url);
      }
      const biased = { logit_bias: { [TRAP_TOKEN]: 100 }, stream: true, max_tokens: 9 };
      const events: string[] = [];
      const stream = await post(url, "chat/completions", chatBody(biased));
      for await (const { data } of readEvents(stream)) events.push(data);
      const errors = events.filter((data) => data.includes('"error"'));
      expect(events.join("\n")).toContain(`${TRAP_TOKEN}`);
      expect(errors).toHaveLength(1);
      expect(JSON.parse(errors[0]!).error.code).toBe("engine_failed");
      await expectAnswer(url);
      const growth = residentBytes(pid!, "peak") - base;
      console.log(`workerd: ${(growth / 1e6).toFixed(1)} MB more at its peak, after 4 traps`);
      expect(growth).toBeLessThan(MOST_GROWTH_BYTES);
    } finally {
      await workerd.close();
    }
  },
);

/** What is left for workerd itself: less than the model's memory takes. */
const ROOM_BYTES = 64_000_000;

function limitAddresses(pid: number, bytes: number | "unlimited"): void {
  execFileSync("prlimit", ["--pid", `${pid}`, `--as=${bytes}:unlimited`], { timeout: 30_000 });
}

test.skipIf(process.platform !== "linux")(
  "a memory that the system refuses is one error; once there is room, the next request is answered",
  async () => {
    const before = workerdProcesses();
    const workerd = await startWorkerd("cloudflare", SMALL_PACK);
    try {
      const { url } = workerd;
      const [pid] = workerdProcesses().filter((found) => !before.includes(found));
      const status = readFileSync(`/proc/${pid}/status`, "latin1");
      const size = Number(/^VmSize:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
      limitAddresses(pid!, size + ROOM_BYTES);
      for (let i = 0; i < 2; i++) {
        const refused = await post(url, "chat/completions", chatBody({}));
        expect(refused.status).toBe(500);
        expect((await refused.json()).error.message).toMatch(
          /could not allocate \d+ bytes \(weights/,
        );
      }
      limitAddresses(pid!, "unlimited");
      await expectAnswer(url);
    } finally {
      await workerd.close();
    }
  },
);
