/** Damaged objects in R2, and clients that leave, on a real workerd. */
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startWorkerd, type Workerd } from "../../src/cli/workerd.ts";
import { MANIFEST_NAME, type PackedObject } from "../../src/pack/manifest.ts";
import { objectName } from "../../src/pack/shards.ts";
import { ANSWER_IDS, SMALL_PACK } from "./environment.ts";
import { readEvents } from "./event-stream.ts";
import {
  ask,
  chatBody,
  expectFailedHealth,
  expectRefused,
  flipBit,
  manifestOf,
} from "./faults-pack.ts";

/** Long enough that it is not over by the time anything else is asked. */
const LONG = {
  messages: [{ role: "user", content: "Write a long story about a llama and a river." }],
  max_tokens: 200,
  ignore_eos: true,
};

const bytesOf = (object: string): Promise<Uint8Array> => readFile(join(SMALL_PACK, object));

test("damaged objects in R2 are refused by name; once repaired, the next request is answered", async () => {
  const { shards, tokenizer } = await manifestOf(SMALL_PACK);
  const workerd = await startWorkerd("cloudflare", SMALL_PACK);
  try {
    const check = async (
      object: string,
      damaged: Uint8Array | undefined,
      facts: string[],
    ): Promise<void> => {
      await workerd.put(object, damaged);
      await expectRefused(workerd.url, facts);
      await expectFailedHealth(workerd.url, facts);
      await workerd.put(object, await bytesOf(object));
    };
    const place = (i: number): string => `shard ${i + 1} of ${shards.length}`;
    const shard = async (i: number): Promise<[string, Uint8Array]> => {
      const name = objectName(shards[i]);
      return [name, await bytesOf(name)];
    };

    const [first, whole] = await shard(0);
    await check(first, flipBit(whole, 8 * 1_000_003 + 5), [place(0), first, "SHA-256"]);
    const last = shards.length - 1;
    const [cut, all] = await shard(last);
    await check(cut, all.subarray(0, all.length - 1), [place(last), cut, `${all.length - 1}`]);
    const [missing] = await shard(1);
    await check(missing, undefined, [place(1), missing, "no such object"]);

    const blob = objectName(tokenizer as PackedObject);
    await check(blob, flipBit(await bytesOf(blob), 12_345), [blob, "SHA-256"]);
    const manifest = await bytesOf(MANIFEST_NAME);
    await check(MANIFEST_NAME, manifest.subarray(0, 5000), [MANIFEST_NAME, "JSON"]);
    await check(MANIFEST_NAME, undefined, [MANIFEST_NAME, "no such object"]);

    const answer = await ask(workerd.url);
    expect(answer.status).toBe(200);
    expect((await answer.json()).choices[0].token_ids).toEqual(ANSWER_IDS);
    expect((await fetch(`${workerd.url}/health`)).status).toBe(200);
  } finally {
    await workerd.close();
  }
});

test("a client that leaves while the model loads takes nobody along", async () => {
  const workerd = await startWorkerd("cloudflare", SMALL_PACK);
  try {
    const leave = new AbortController();
    const left = ask(workerd.url, {}, leave.signal);
    setTimeout(() => leave.abort(), 30);
    await expect(left).rejects.toThrow();
    const answer = await ask(workerd.url);
    expect((await answer.json()).choices[0].token_ids).toEqual(ANSWER_IDS);
  } finally {
    await workerd.close();
  }
});

describe.each([
  ["one slot", "cloudflare", 1],
  ["two slots", "../tests/e2e/faults-worker", 2],
])("with %s", (_, entry, slots) => {
  let workerd: Workerd;
  /** What the long request gives, and how long it takes, when nobody disturbs it. */
  let alone: number[];
  let aloneMs: number;
  beforeAll(async () => {
    workerd = await startWorkerd(entry, SMALL_PACK);
    await ask(workerd.url, { max_tokens: 1 });
    const started = performance.now();
    alone = await idsOf(await ask(workerd.url, { ...LONG, stream: true }));
    aloneMs = performance.now() - started;
    expect(alone.length).toBe(LONG.max_tokens);
  });
  afterAll(() => workerd?.close());

  test("a request goes on when another, that came before it, ends", async () => {
    const before = ask(workerd.url, { max_tokens: 6 });
    const long = ask(workerd.url, { ...LONG, stream: true });
    expect((await (await before).json()).choices[0].token_ids).toEqual(ANSWER_IDS.slice(0, 6));
    expect(await idsOf(await long)).toEqual(alone);
  });

  test("a request goes on when another, that came after it, ends", async () => {
    const stream = readEvents(await ask(workerd.url, { ...LONG, stream: true }));
    const ids: number[] = [];
    let other: Promise<Response> | undefined;
    for await (const { data } of stream) {
      ids.push(...tokenIds(data));
      if (ids.length === 4) other = ask(workerd.url, { max_tokens: 6 });
    }
    expect(ids).toEqual(alone);
    const answer = await (await other)?.json();
    expect(answer.choices[0].token_ids).toEqual(ANSWER_IDS.slice(0, 6));
  });

  test("clients that leave in mid-stream disturb nobody, and their slots come back", async () => {
    const long = ask(workerd.url, { ...LONG, stream: true });
    // As many as find a slot, one after the other, while the long one runs or waits.
    for (let i = 0; i < 3; i++) {
      const leave = new AbortController();
      const left = readAndLeave(ask(workerd.url, { ...LONG, stream: true }, leave.signal), leave);
      if (slots === 1) setTimeout(() => leave.abort(), 50);
      await expect(left).rejects.toThrow();
    }
    if (slots > 1) {
      // The long one has one of two slots: another that is still taken would show as waiting.
      const { timings } = await (await ask(workerd.url, { max_tokens: 1 })).json();
      expect(timings.queue_ms).toBeLessThan(aloneMs / 4);
    }
    expect(await idsOf(await long)).toEqual(alone);
    const answers = await Promise.all(Array.from({ length: slots }, () => ask(workerd.url)));
    for (const answer of answers) {
      expect((await answer.json()).choices[0].token_ids).toEqual(ANSWER_IDS);
    }
  });

  test("clients that leave before a whole answer free their slots", async () => {
    const left = Array.from({ length: slots }, () => askOnSocket(workerd.url, LONG));
    await sleep(100);
    for (const socket of left) socket.resetAndDestroy();
    const { timings } = await (await ask(workerd.url, { max_tokens: 1 })).json();
    expect(timings.queue_ms).toBeLessThan(aloneMs / 4);
  });
});

/**
 * Asks on a connection that can be reset: before it has written anything, a local workerd does not
 * notice one that is only closed, as fetch does.
 */
function askOnSocket(url: string, body: Record<string, unknown>): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const text = JSON.stringify(chatBody(body));
  socket.on("error", () => {});
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nHost: ${hostname}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  return socket;
}

async function readAndLeave(answer: Promise<Response>, leave: AbortController): Promise<void> {
  let tokens = 0;
  for await (const { data } of readEvents(await answer)) {
    tokens += tokenIds(data).length;
    if (tokens >= 3) leave.abort();
  }
}

async function idsOf(response: Response): Promise<number[]> {
  expect(response.status).toBe(200);
  const ids: number[] = [];
  for await (const { data } of readEvents(response)) ids.push(...tokenIds(data));
  return ids;
}

function tokenIds(data: string): number[] {
  if (data === "[DONE]") return [];
  const event = JSON.parse(data);
  if (event.error) throw new Error(event.error.message);
  return event.choices[0]?.token_ids ?? [];
}
