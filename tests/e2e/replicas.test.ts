/** Three replicas behind nginx and the front: where conversations go, and what dies with a replica. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { type ChildServer, startServer } from "./child-server.ts";
import { DEFAULT_PACK } from "./environment.ts";
import { readEvents } from "./event-stream.ts";
import { type Nginx, startNginx } from "./nginx.ts";

const COUNT = 3;
/** Nothing here takes longer, or it hangs. */
const REQUEST_TIMEOUT_MS = 180_000;

const replicas: ChildServer[] = [];
let nginx: Nginx;
let front: ChildServer;

const startReplica = (): Promise<ChildServer> =>
  startServer(commandLineOn("node"), [DEFAULT_PACK, "--threads", "1", "--queue", "100"]);
const startFront = (runtime: "node" | "deno" | "bun"): Promise<ChildServer> =>
  startServer(commandLineOn(runtime), [nginx.url], { command: "front" });

beforeAll(async () => {
  for (let i = 0; i < COUNT; i++) replicas.push(await startReplica());
  nginx = await startNginx(replicas.map(({ url }) => url));
  front = await startFront("node");
}, 240_000);

afterAll(async () => {
  await front?.close();
  await nginx?.close();
  await Promise.all(replicas.map((replica) => replica.close()));
});

interface Message {
  readonly role: string;
  readonly content: string;
}

const system: Message = { role: "system", content: "You are a helpful assistant, and brief." };
const conversation = (name: string): Message[] => [
  system,
  { role: "user", content: `My name is ${name}. What is the capital of France?` },
];

const ask = (messages: readonly Message[], fields: object = {}, to = front): Promise<Response> =>
  fetch(`${to.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "smollm2-135m-instruct", messages, temperature: 0, ...fields }),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });

async function answer(messages: readonly Message[], to = front) {
  const response = await ask(messages, { max_tokens: 8 }, to);
  expect(response.status).toBe(200);
  const { choices, usage } = await response.json();
  return {
    message: choices[0].message as Message,
    prompt: usage.prompt_tokens as number,
    cached: usage.prompt_tokens_details.cached_tokens as number,
  };
}

/** Requests that a replica is answering, without the one that asks. */
async function inFlight({ url }: ChildServer): Promise<number> {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(5000) });
  const [, count] = /^pronk_requests_in_flight (\d+)$/m.exec(await response.text()) ?? [];
  return Number(count) - 1;
}

async function answered({ url }: ChildServer): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const counts = text.matchAll(/^pronk_requests_total\{.*chat\/completions.*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** A stream to its end. */
async function streamed(messages: readonly Message[], onFirst: () => void = () => {}) {
  const response = await ask(messages, { stream: true, max_tokens: 150, ignore_eos: true });
  expect(response.status).toBe(200);
  const data: string[] = [];
  for await (const event of readEvents(response)) {
    if (data.length === 0) onFirst();
    data.push(event.data);
  }
  const errors = data.filter((event) => event.startsWith('{"error"'));
  return { errors, isWhole: data.at(-1) === "[DONE]", isToldLast: errors[0] === data.at(-1) };
}

describe.each(["node", "deno", "bun"] as const)("a front on %s", (runtime) => {
  let own: ChildServer;
  beforeAll(async () => {
    own = runtime === "node" ? front : await startFront(runtime);
  });
  afterAll(() => (own === front ? undefined : own?.close()));

  test("sends the second turn to the replica of the first", async () => {
    const before = await Promise.all(replicas.map(answered));
    for (let i = 0; i < 6; i++) {
      const first = conversation(`${runtime}${i}`);
      const { message, prompt } = await answer(first, own);
      const second = [...first, message, { role: "user", content: "And of Spain?" }];
      // The whole first prompt, and of its answer what was put into the cache.
      expect((await answer(second, own)).cached).toBeGreaterThanOrEqual(prompt);
    }
    const after = await Promise.all(replicas.map(answered));
    const counts = after.map((count, i) => count - (before[i] ?? 0));
    expect(counts.reduce((a, b) => a + b)).toBe(12);
    // Two turns of a conversation are in one place, and not all conversations are.
    expect(counts.every((count) => count % 2 === 0)).toBe(true);
    expect(counts.filter((count) => count > 0).length).toBeGreaterThan(1);
  });

  test("a client that leaves frees its replica", async () => {
    const controller = new AbortController();
    const response = await fetch(`${own.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({
        model: "smollm2-135m-instruct",
        messages: conversation("gone"),
        stream: true,
        ignore_eos: true,
        max_tokens: 1000,
      }),
      signal: controller.signal,
    });
    await readEvents(response).next();
    controller.abort();
    const busy = async (): Promise<number> =>
      (await Promise.all(replicas.map(inFlight))).reduce((a, b) => a + b);
    await expect.poll(busy, { timeout: 3000, interval: 20 }).toBe(0);
  });
});

test("a replica that is killed under load: its streams are told, everything else succeeds", async () => {
  const names = Array.from({ length: 9 }, (_, i) => `load${i}`);
  let begun = 0;
  const streams = names.map((name) => streamed(conversation(name), () => begun++));
  await expect.poll(() => begun, { timeout: 90_000, interval: 10 }).toBe(names.length);
  const busy = await Promise.all(replicas.map(inFlight));
  const victim = busy.indexOf(Math.max(...busy));
  const { child } = replicas[victim]!;
  const died = performance.now();
  child.kill("SIGKILL");

  // New ones meanwhile, of the killed replica's conversations, too.
  const others = await Promise.all(names.map((name) => answer(conversation(name))));
  expect(others.every(({ message }) => message.content.length > 0)).toBe(true);

  const ends = await Promise.all(streams);
  const told = ends.filter(({ isWhole }) => !isWhole);
  expect(told.length).toBe(busy[victim]);
  for (const { errors, isToldLast } of told) {
    expect([errors.length, isToldLast]).toEqual([1, true]);
    expect(JSON.parse(errors[0]!).error).toMatchObject({
      type: "server_error",
      code: "upstream_failed",
    });
  }
  for (const { errors } of ends.filter(({ isWhole }) => isWhole)) expect(errors).toEqual([]);
  expect(performance.now() - died).toBeLessThan(REQUEST_TIMEOUT_MS);

  // Later, too: its conversations have a new place, and keep it.
  for (const name of names) {
    await answer(conversation(name));
    expect((await answer(conversation(name))).cached).toBeGreaterThan(10);
  }
  expect((await fetch(`${front.url}/health`)).status).toBe(200);
}, 120_000);

test("a replica that is stopped finishes its streams, and new requests go elsewhere", async () => {
  const messages = conversation("drained");
  let begun = false;
  const stream = streamed(messages, () => {
    begun = true;
  });
  await expect.poll(() => begun, { timeout: 90_000, interval: 5 }).toBe(true);
  const live = replicas.filter(({ child }) => child.signalCode === null);
  const busy = await Promise.all(live.map(inFlight));
  live[busy.indexOf(1)]!.child.kill("SIGTERM");
  for (let i = 0; i < 3; i++) await answer(messages);
  expect(await stream).toEqual({ errors: [], isWhole: true, isToldLast: false });
});

test("with no replica left, and with no load balancer, requests are refused at once", async () => {
  for (const { child } of replicas) child.kill("SIGKILL");
  const refusal = async (): Promise<unknown[]> => {
    const response = await ask(conversation("nobody"));
    const { error } = await response.json();
    return [response.status, error.code, response.headers.get("retry-after")];
  };
  await expect.poll(refusal, { timeout: 5000 }).toEqual([503, "upstream_failed", "1"]);
  expect((await fetch(`${front.url}/health`)).status).toBe(503);
  await nginx.close();
  expect(await refusal()).toEqual([503, "upstream_failed", "1"]);
});
