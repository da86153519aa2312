/** Requests side by side in a Worker on a real workerd: each token leaves before the next, and who leaves takes nothing along. */
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startWorkerd, type Workerd } from "../../src/cli/workerd.ts";
import { SMALL_PACK } from "./environment.ts";
import { ask, chatBody } from "./faults-pack.ts";

let workerd: Workerd;
beforeAll(async () => {
  workerd = await startWorkerd("cloudflare", SMALL_PACK);
  await ask(workerd.url, { max_tokens: 1 });
});
afterAll(() => workerd?.close());

const TOKENS = 20;

/** What is written before a token's event, and after the last: the role, the reason, [DONE]. */
const OTHER_EVENTS = 3;

const LONG = { ignore_eos: true, return_token_ids: true, stream: true };

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

test("each event of a stream arrives before the next token is computed", async () => {
  const { body } = await ask(workerd.url, { ...LONG, max_tokens: TOKENS });
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  const times: number[] = [];
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    times.push(performance.now());
    text += new TextDecoder().decode(value);
  }
  const events = text.split("\n\n").filter((event) => event.startsWith("data: {"));
  expect(events.length).toBeGreaterThanOrEqual(TOKENS);
  const { timings } = JSON.parse(events.at(-1)?.slice("data: ".length) ?? "{}");
  const gaps = times.slice(1, TOKENS).map((time, i) => time - times[i]);
  const tokenMs = timings.predicted_ms / (TOKENS - 1);
  console.log(
    `workerd: ${times.length} chunks of ${events.length} events, a gap of ${median(gaps).toFixed(2)} ms, ${tokenMs.toFixed(2)} ms a token`,
  );
  expect(times.length).toBeGreaterThanOrEqual(TOKENS - 1);
  expect(times.length).toBeLessThanOrEqual(TOKENS + OTHER_EVENTS);
  expect(Math.abs(median(gaps) - tokenMs)).toBeLessThan(0.3 * tokenMs);
});

/** Tokens that the isolate has generated so far. */
async function generated(): Promise<number> {
  const text = await (await fetch(`${workerd.url}/metrics`)).text();
  return Number(/^pronk_tokens_generated_total(?:\{[^}]*\})? (\d+)$/m.exec(text)?.[1]);
}

test("two clients at once get what each gets alone", async () => {
  const asked = [
    { max_tokens: 24 },
    { max_tokens: 16, messages: [{ role: "user", content: "Hi" }] },
  ];
  const idsOf = async (fields: object): Promise<number[]> =>
    (await (await ask(workerd.url, { ...LONG, stream: false, ...fields })).json()).choices[0]
      .token_ids;
  const alone = [await idsOf(asked[0]), await idsOf(asked[1])];
  expect(await Promise.all(asked.map(idsOf))).toEqual(alone);
});

function post(path: string, body: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${workerd.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "smollm2-135m-instruct", ...body }),
    signal: AbortSignal.any([AbortSignal.timeout(180_000), ...(signal ? [signal] : [])]),
  });
}

/** What is lent a slot, beside who generates: embeddings, scores. */
const LENT: readonly (readonly [string, object])[] = [
  ["/v1/embeddings", { input: ["A cat", "A dog"] }],
  ["/v1/embeddings", { input: "A whale" }],
  ["/perplexity", { prompt: "The quick brown fox jumps over the lazy dog." }],
  ["/v1/completions", { prompt: "The sky is blue", echo: true, logprobs: 1, max_tokens: 0 }],
];

async function lentAnswer([path, body]: (typeof LENT)[number]): Promise<unknown> {
  const response = await post(path, body);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  const { data, perplexity, choices } = JSON.parse(text);
  return data ?? perplexity ?? choices[0].logprobs;
}

test("who waits for the slot of embeddings, scores and a chat is answered in turn, as alone", async () => {
  const alone: unknown[] = [];
  for (const one of LENT) alone.push(await lentAnswer(one));
  const before = await generated();
  const chat = ask(workerd.url, { max_tokens: 40, ignore_eos: true });
  await expect.poll(generated, { timeout: 20_000 }).toBeGreaterThan(before);
  expect(await Promise.all(LENT.map(lentAnswer))).toEqual(alone);
  expect((await (await chat).json()).usage.completion_tokens).toBe(40);
});

test("clients that leave while they wait for the slot do not keep it from others", async () => {
  const chat = ask(workerd.url, { max_tokens: 30, ignore_eos: true });
  const leave = new AbortController();
  const gone = LENT.map(([path, body]) => post(path, body, leave.signal).catch(() => undefined));
  await new Promise((resolve) => setTimeout(resolve, 50));
  leave.abort();
  await Promise.all(gone);
  await (await chat).json();
  const next = await ask(workerd.url, { max_tokens: 30, ignore_eos: true });
  expect(next.status).toBe(200);
  expect((await next.json()).usage.completion_tokens).toBe(30);
});

test("a client that leaves frees the only slot within one token", async () => {
  const { hostname, port } = new URL(workerd.url);
  const extras: number[] = [];
  for (let round = 0; round < 8; round++) {
    const before = await generated();
    const text = JSON.stringify(chatBody({ ...LONG, max_tokens: 200 }));
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nHost: ${hostname}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
    let received = 0;
    let next: Promise<Response> | undefined;
    await new Promise<void>((resolve) => {
      socket.on("data", (chunk) => {
        received += chunk.toString().match(/"token_ids":\[\d/g)?.length ?? 0;
        if (received < 4) return;
        // Somebody waits for the slot when it comes free, or computes what is lost.
        next ??= ask(workerd.url, { max_tokens: 3, ignore_eos: true });
        if (received < 8) return;
        socket.resetAndDestroy();
        resolve();
      });
    });
    await (await next)?.json();
    extras.push((await generated()) - before - 3 - received);
  }
  console.log(`workerd: tokens after clients left: ${extras}`);
  // One that is being computed, and one whose event was on its way.
  for (const extra of extras) expect(extra).toBeLessThanOrEqual(2);
});
