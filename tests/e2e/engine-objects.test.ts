/** SmolLM2 in an engine object of a real workerd: the same answers, its end in mid-stream, its memory. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packObjects } from "../../src/cli/workerd.ts";
import { type EngineObjects, startEngineObjects } from "../support/engine-objects.ts";
import { ANSWER_IDS, QUESTION, SMALL_PACK } from "./environment.ts";
import { readEvents } from "./event-stream.ts";
import { watchIsolate } from "./isolate-memory.ts";

/** As for one isolate with everything in it (workerd-memory.test.ts). */
const MOST_BYTES = 122_000_000;

const TIMEOUT_MS = 180_000;
const OBJECT = "engine-0-0";

let objects: EngineObjects;
beforeAll(async () => {
  const pack = new Map<string, Uint8Array>();
  for (const name of await packObjects(SMALL_PACK)) {
    pack.set(name, await readFile(join(SMALL_PACK, name)));
  }
  objects = await startEngineObjects(pack, { inspect: true });
});
afterAll(() => objects?.close());

const chat = (fields: object): Promise<Response> =>
  fetch(`${objects.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "smollm2-135m-instruct", return_token_ids: true, ...fields }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });

const user = (content: string): object => ({ role: "user", content });

async function idsOf(response: Response, seen?: (count: number) => Promise<void>) {
  const ids: number[] = [];
  let text = "";
  for await (const { data } of readEvents(response)) {
    if (data === "[DONE]") break;
    const [choice] = JSON.parse(data).choices;
    if (choice === undefined) continue;
    text += choice.delta?.content ?? "";
    const before = ids.length;
    ids.push(...(choice.token_ids ?? []));
    if (ids.length > before) await seen?.(ids.length);
  }
  return { ids, text };
}

test("the isolate of the engine holds the model, its requests and what passes to storage", async () => {
  const converse = async (): Promise<void> => {
    const messages: object[] = [];
    for (let used = 0; used < 400; ) {
      messages.push(user("Tell me more of the llama, the river and the village."));
      const { choices, usage } = await (
        await chat({ messages, max_tokens: 90, ignore_eos: true })
      ).json();
      messages.push(choices[0].message);
      used = usage.total_tokens;
    }
  };
  const { heapBytes, wasmBytes } = await watchIsolate(objects.inspectorUrl!, converse);
  const { turns } = await objects.state(OBJECT);
  const sum = heapBytes + wasmBytes;
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
  console.log(`engine object: ${mb(wasmBytes)} + ${mb(heapBytes)} = ${mb(sum)} MB, ${turns} turns`);
  expect(wasmBytes).toBeGreaterThan(90_000_000);
  expect(sum).toBeLessThan(MOST_BYTES);
});

test("an engine object answers as every other runtime, whole and streamed", async () => {
  const messages = [user(QUESTION)];
  const whole = await (await chat({ messages, temperature: 0 })).json();
  expect(whole.choices[0].token_ids).toEqual(ANSWER_IDS);
  const { ids } = await idsOf(await chat({ messages, temperature: 0, stream: true }));
  expect(ids).toEqual(ANSWER_IDS);
});

test("tokens pass from object to front to client one by one, as they are generated", async () => {
  const messages = [user("Write a long story about a llama and a river.")];
  const fields = { messages, temperature: 0, stream: true, max_tokens: 24, ignore_eos: true };
  const reads = new Set<number>();
  const times: number[] = [];
  for await (const { data, read, ms } of readEvents(await chat(fields))) {
    if (data === "[DONE]" || !JSON.parse(data).choices[0]?.token_ids?.length) continue;
    reads.add(read);
    times.push(ms);
  }
  expect(times).toHaveLength(24);
  expect(reads.size).toBeGreaterThanOrEqual(22);
  const gaps = times.slice(1).map((ms, i) => ms - times[i]!);
  const [middle] = gaps.sort((a, b) => a - b).slice(gaps.length >> 1);
  const spread = (times.at(-1)! - times[0]!) / gaps.length;
  console.log(`median gap ${middle!.toFixed(1)} ms of ${spread.toFixed(1)} ms a token`);
  expect(middle).toBeGreaterThan(spread * 0.5);
});

test("a stream goes on when its object and the model are gone, from the turns that it kept", async () => {
  const first = [user("Tell me in some sentences how a llama lives in the mountains of Peru.")];
  const turn = await (await chat({ messages: first, seed: 3, max_tokens: 60 })).json();
  const messages = [...first, turn.choices[0].message, user("What does it eat there?")];
  const fields = { messages, seed: 4, stream: true, max_tokens: 80, ignore_eos: true };
  const expected = await idsOf(await chat(fields));
  expect(expected.ids).toHaveLength(80);
  // Kept by now is the whole second answer; of another conversation there is but the first turn.
  const kept = (await objects.state(OBJECT)).turns!;
  const other = [user("And now something else: what is a river?")];
  const short = await (await chat({ messages: other, seed: 5, max_tokens: 50 })).json();
  for (let i = 0; (await objects.state(OBJECT)).turns! < kept + 1 && i < 100; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const next = [...other, short.choices[0].message, user("Where does it end?")];
  const asked = { ...fields, messages: next };
  let done = false;
  const found = await idsOf(await chat(asked), async (count) => {
    if (count !== 20 || done) return;
    done = true;
    const started = performance.now();
    await objects.end(OBJECT, "evict");
    console.log(`evicted in ${(performance.now() - started).toFixed(0)} ms`);
  });
  const { cached_tokens, requests } = await objects.state(OBJECT);
  expect(requests).toBe(1);
  expect(cached_tokens).toBeGreaterThanOrEqual(short.usage.prompt_tokens);
  expect(found).toEqual(await idsOf(await chat(asked)));
  expect(found.ids).toHaveLength(80);
});
