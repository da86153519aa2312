/** A model over scripts of real workerd, bound to each other: the bits of one memory, few invocations, a lost stage. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runChild } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { withTrap } from "../support/trapping-kernels.ts";
import { ANSWER_IDS, DEFAULT_PACK, QUESTION } from "./environment.ts";
import { readEvents } from "./event-stream.ts";
import { type StageCounts, type StagedWorkerd, startStagedWorkerd } from "./staged-workerd.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const SIZES = { ctx: 768, slots: 3, maxRows: 64, maxLogits: 64 };

/** Which no test asks for but one. */
const TRAP_TOKEN = 12_345;

let started: StagedWorkerd;
let warnings = "";

beforeAll(async () => {
  // A third of what SmolLM2 takes: an embedding over several stages, too.
  started = await startStagedWorkerd(DEFAULT_PACK, SIZES, 60_000_000, {
    patchKernels: (wasm) => withTrap(wasm, TRAP_TOKEN),
    onWarning: (text) => {
      warnings += text;
    },
  });
}, 120_000);

afterAll(() => started?.close());

function ask(body: Record<string, unknown> = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`${started.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "smollm2-135m-instruct",
      messages: [{ role: "user", content: QUESTION }],
      temperature: 0,
      return_token_ids: true,
      ...body,
    }),
    signal: AbortSignal.any([AbortSignal.timeout(270_000), ...(signal ? [signal] : [])]),
  });
}

const sum = (counts: readonly StageCounts[], name: keyof StageCounts): number =>
  counts.reduce((total, count) => total + count[name], 0);

test("a generation opens one session with each stage, whatever number of tokens", {
  timeout: 360_000,
}, async () => {
  const answer = await (await ask()).json();
  expect(answer.choices[0].token_ids).toEqual(ANSWER_IDS);
  const before = await started.counts();
  const long = await (
    await ask({ max_tokens: 40, ignore_eos: true, n: 2, temperature: 1, seed: 1 })
  ).json();
  expect(long.choices).toHaveLength(2);
  const after = await started.counts();
  const stages = started.plan.stages.length;
  expect(stages).toBeGreaterThan(2);
  expect(sum(after, "invocations") - sum(before, "invocations")).toBe(stages);
  expect(sum(after, "answers") - sum(before, "answers")).toBeGreaterThan(40 * stages);
  // Closed when the answer has gone out.
  await expect.poll(async () => sum(await started.counts(), "sessions")).toBe(0);
});

test("what computes nothing keeps no slot; who finds none waits for one", {
  timeout: 360_000,
}, async () => {
  for (let i = 0; i < 4; i++) {
    const models = await fetch(`${started.url}/v1/models`, { signal: AbortSignal.timeout(90_000) });
    expect((await models.json()).data[0].id).toBe("smollm2-135m-instruct");
  }
  const together = await Promise.all(
    Array.from({ length: 6 }, async () => (await ask({ max_tokens: 4 })).json()),
  );
  for (const answer of together) {
    expect(answer.choices[0].token_ids).toEqual(ANSWER_IDS.slice(0, 4));
  }
});

test("the logits are those of one memory", async () => {
  const node = { program: process.execPath, args: [main] };
  const one = await runChild(node, ["hash", DEFAULT_PACK, "--json"], { timeoutMs: 250_000 });
  const response = await fetch(`${started.url}/hash`, { signal: AbortSignal.timeout(180_000) });
  expect(await response.json()).toEqual({
    logits_sha256: JSON.parse(one).logits_sha256,
    ids: JSON.parse(one).ids,
  });
});

test("a client that leaves stops the stages", { timeout: 180_000 }, async () => {
  const stop = new AbortController();
  const response = await ask({ stream: true, max_tokens: 500, ignore_eos: true }, stop.signal);
  let events = 0;
  try {
    for await (const _ of readEvents(response)) if (++events === 5) stop.abort();
  } catch {
    // The fetch is what was aborted.
  }
  // A busy machine notices late, but long before the end.
  const from = (await started.counts())[0].answers;
  let last = -1;
  let answers = from;
  while (answers !== last) {
    last = answers;
    await new Promise((resolve) => setTimeout(resolve, 500));
    ({ answers } = (await started.counts())[0]);
  }
  expect(answers - from).toBeLessThan(250);
});

test("clients that leave at any moment give the stages' slots back", {
  timeout: 180_000,
}, async () => {
  for (let most = 0; most < 8; most++) {
    const stop = new AbortController();
    let events = 0;
    try {
      const response = await ask({ stream: true, max_tokens: 300, ignore_eos: true }, stop.signal);
      for await (const _ of readEvents(response)) if (events++ === most >> 1) stop.abort();
    } catch {
      // The fetch is what was aborted.
    }
  }
  const sessions = async (): Promise<number> => sum(await started.counts(), "sessions");
  await expect.poll(sessions, { timeout: 10_000 }).toBe(0);
});

test("a stage that is lost once is not noticed; lost again, the request fails and the next one works", {
  timeout: 180_000,
}, async () => {
  await started.fail(1, 1);
  const once = await (await ask()).json();
  expect(once.choices[0].token_ids).toEqual(ANSWER_IDS);
  await started.fail(1, 20);
  const gone = await ask();
  expect(gone.status).toBe(500);
  expect((await gone.json()).error).toMatchObject({ type: "server_error" });
  await started.fail(1, 0);
  const back = await (await ask()).json();
  expect(back.choices[0].token_ids).toEqual(ANSWER_IDS);
});

test("a stage whose kernel traps fails the request, and is loaded anew for the next one", {
  timeout: 180_000,
}, async () => {
  const gone = await fetch(`${started.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "smollm2-135m-instruct", prompt: [TRAP_TOKEN], max_tokens: 4 }),
    signal: AbortSignal.timeout(150_000),
  });
  expect(gone.status).toBe(500);
  expect((await gone.json()).error).toMatchObject({
    code: "engine_failed",
    message: expect.stringContaining("kernel trapped"),
  });
  const back = await (await ask()).json();
  expect(back.choices[0].token_ids).toEqual(ANSWER_IDS);
});

test("workerd warns of no stub that was left to its garbage collector", async () => {
  for (let i = 0; i < 2; i++) {
    const collected = fetch(`${started.url}/collect`, { signal: AbortSignal.timeout(90_000) });
    expect(await (await collected).text()).toBe("collected");
    await (await ask()).json();
  }
  expect(warnings).not.toContain("RPC stub");
});
