/** The memory of an isolate, from the load of its model through a conversation that fills the context. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startWorkerd, type Workerd } from "../../src/cli/workerd.ts";
import { isolateBytes } from "../../src/engine/isolate-memory.ts";
import { objectName } from "../../src/pack/shards.ts";
import { ANSWER_IDS, QUESTION, SMALL_PACK } from "./environment.ts";
import { expectRefused, flipBit, manifestOf } from "./faults-pack.ts";
import { residentBytes, watchIsolate, workerdProcesses } from "./isolate-memory.ts";

/**
 * Of a Worker's 128 MB. Local workerd does not enforce them, and V8's garbage is collected later here than
 * under a limit.
 */
const MOST_BYTES = 122_000_000;

/**
 * Beside what the isolate holds: the R2 simulator and Miniflare's own isolates work in the same process, and
 * so do V8's compilers and the code that they make, which no limit counts.
 */
const MOST_GROWTH_BYTES = 140_000_000;

/** What has to be there at least, or the measurement is wrong. */
const SMALL_WEIGHT_BYTES = 90_000_000;

const CTX = 1024;
const TIMEOUT_MS = 60_000;

let bucketFolder: string;
beforeAll(async () => {
  bucketFolder = await mkdtemp(join(tmpdir(), "pronk-r2-"));
  // Filling the bucket takes memory of its own: another process does that.
  await (await startWorkerd("cloudflare", SMALL_PACK, { bucketFolder })).close();
});
afterAll(() => rm(bucketFolder, { recursive: true, force: true }));

interface Answer {
  readonly usage: { readonly total_tokens: number };
  readonly choices: readonly {
    readonly finish_reason: string;
    readonly token_ids: readonly number[];
    readonly message: { readonly role: string; readonly content: string };
  }[];
}

async function ask({ url }: Workerd, fields: object): Promise<Answer> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "smollm2-135m-instruct",
      temperature: 0,
      return_token_ids: true,
      ...fields,
    }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
}

/** Turns of 100 tokens, until nothing goes in any more. */
async function converse(workerd: Workerd): Promise<void> {
  const first = await ask(workerd, { messages: [{ role: "user", content: QUESTION }] });
  expect(first.choices[0]?.token_ids).toEqual(ANSWER_IDS);
  const messages: object[] = [];
  let used = 0;
  let finish = "";
  while (used < CTX - 40) {
    messages.push({
      role: "user",
      content: "Tell me more of the llama, the river and the village.",
    });
    const rest = { ignore_eos: true, max_tokens: Math.min(100, CTX - used - 30) };
    const { usage, choices } = await ask(workerd, { messages, ...rest });
    messages.push(choices[0]?.message as object);
    used = usage.total_tokens;
    finish = choices[0]?.finish_reason ?? "";
  }
  expect(finish).toBe("length");
  const all = { messages: [{ role: "user", content: "Go on." }], ignore_eos: true };
  expect((await ask(workerd, all)).usage.total_tokens).toBe(CTX);
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

test("WebAssembly and JavaScript at their peak fit one isolate, and are what the plan says", async () => {
  const workerd = await startWorkerd("cloudflare", SMALL_PACK, { bucketFolder, inspect: true });
  try {
    const { inspectorUrl = "" } = workerd;
    const found = await watchIsolate(inspectorUrl, () => converse(workerd));
    const health = await (await fetch(`${workerd.url}/metrics`)).text();
    const total = Number(/^pronk_memory_bytes(?:\{[^}]*\})? (\S+)$/m.exec(health)?.[1]);
    const sum = found.wasmBytes + found.heapBytes;
    const planned = isolateBytes({ total });
    console.log(
      `workerd: ${megabytes(sum)} MB: memory ${megabytes(found.wasmBytes)}, heap ${megabytes(found.heapBytes)} ` +
        `at its peak of ${found.looks} looks; planned ${megabytes(planned)}`,
    );
    expect(found.looks).toBeGreaterThan(500);
    expect(found.wasmBytes).toBeGreaterThan(SMALL_WEIGHT_BYTES);
    expect(sum).toBeLessThan(MOST_BYTES);
    expect(Math.abs(planned - sum) / sum).toBeLessThan(0.05);
  } finally {
    await workerd.close();
  }
});

test.skipIf(process.platform !== "linux")("the process grows by little more", async () => {
  const before = workerdProcesses();
  const workerd = await startWorkerd("cloudflare", SMALL_PACK, { bucketFolder });
  try {
    const [pid] = workerdProcesses().filter((found) => !before.includes(found));
    const base = residentBytes(pid, "now");
    await converse(workerd);
    const growth = residentBytes(pid, "peak") - base;
    console.log(`workerd: ${megabytes(growth)} MB above ${megabytes(base)} MB`);
    expect(growth).toBeGreaterThan(SMALL_WEIGHT_BYTES);
    expect(growth).toBeLessThan(MOST_GROWTH_BYTES);
  } finally {
    await workerd.close();
  }
});

test.skipIf(process.platform !== "linux")(
  "a load that fails leaves its memory to the next one",
  async () => {
    const before = workerdProcesses();
    const workerd = await startWorkerd("cloudflare", SMALL_PACK, { bucketFolder });
    const { shards } = await manifestOf(SMALL_PACK);
    const last = objectName(shards[shards.length - 1]);
    const whole = await readFile(join(SMALL_PACK, last));
    try {
      const [pid] = workerdProcesses().filter((found) => !before.includes(found));
      await workerd.put(last, flipBit(whole, 12_345));
      for (let i = 0; i < 2; i++) await expectRefused(workerd.url, [last, "SHA-256"]);
      const base = residentBytes(pid, "peak");
      await workerd.put(last, whole);
      await ask(workerd, { messages: [{ role: "user", content: QUESTION }] });
      const growth = residentBytes(pid, "peak") - base;
      console.log(`workerd: ${megabytes(growth)} MB more for a load after one that failed`);
      // Another memory of the model's would be all of it.
      expect(growth).toBeLessThan(SMALL_WEIGHT_BYTES / 2);
    } finally {
      await workerd.put(last, whole);
      await workerd.close();
    }
  },
);
