/** The events of /v1/responses. */
import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import type { LogEntry } from "../../../src/server/context.ts";
import { type App, events, type Json, post } from "./client.ts";
import { createToy, type ToyOptions } from "./toy-engine.ts";

const REPLY = "There are 7 days in a week.";

const ask = (fields: Record<string, unknown> = {}) => ({
  model: "toy/llama",
  input: "How many days are in a week?",
  temperature: 0,
  stream: true,
  ...fields,
});

/** The events' data; every event names its type twice, and [DONE] is the last. */
async function stream(app: App, fields: Record<string, unknown> = {}): Promise<Json[]> {
  const response = await post(app, "/v1/responses", ask(fields));
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  const all = await events(response);
  expect(all.pop()).toBe("data: [DONE]");
  return all.map((event) => {
    const [, type, data] = /^event: (.*)\ndata: (.*)$/s.exec(event) ?? [];
    const value = JSON.parse(data ?? "null");
    expect(value.type).toBe(type);
    return value;
  });
}
const toyApp = (options: ToyOptions = {}) => createApp({ engine: createToy(options).engine });
const types = (list: Json[]) => list.map(({ type }) => type);
/** Each run of equal types once. */
const phases = (list: Json[]) => types(list).filter((type, i, all) => type !== all[i - 1]);

const MESSAGE_PHASES = [
  "response.created",
  "response.in_progress",
  "response.output_item.added",
  "response.content_part.added",
  "response.output_text.delta",
  "response.output_text.done",
  "response.content_part.done",
  "response.output_item.done",
];

/** What each event has beyond its type and number, by the contract. */
const PAYLOADS: Record<string, string[]> = {
  "response.created": ["response"],
  "response.in_progress": ["response"],
  "response.output_item.added": ["output_index", "item"],
  "response.content_part.added": ["item_id", "output_index", "content_index", "part"],
  "response.output_text.delta": ["item_id", "output_index", "content_index", "delta", "logprobs"],
  "response.output_text.done": ["item_id", "output_index", "content_index", "text", "logprobs"],
  "response.content_part.done": ["item_id", "output_index", "content_index", "part"],
  "response.output_item.done": ["output_index", "item"],
  "response.completed": ["response"],
  "response.incomplete": ["response"],
  "response.failed": ["response"],
  error: ["code", "message", "param"],
};

function expectPayloads(list: Json[]): void {
  expect(list.map(({ sequence_number }) => sequence_number)).toEqual([...list.keys()]);
  for (const { type, sequence_number, ...payload } of list) {
    expect([type, ...Object.keys(payload).sort()]).toEqual([type, ...PAYLOADS[type]!.toSorted()]);
  }
}

describe("a streamed message", () => {
  test("comes as the contract's events, in order, numbered, with all their keys", async () => {
    const list = await stream(toyApp());
    expect(phases(list)).toEqual([...MESSAGE_PHASES, "response.completed"]);
    expectPayloads(list);
  });

  test("grows from an empty response to the one that is answered without a stream", async () => {
    const list = await stream(toyApp());
    const [created, inProgress, added, part, ...rest] = list;
    for (const { response } of [created, inProgress]) {
      expect(response).toMatchObject({ status: "in_progress", output: [], usage: null });
    }
    const item_id = added.item.id;
    expect(added).toMatchObject({
      output_index: 0,
      item: { type: "message", status: "in_progress", role: "assistant", content: [] },
    });
    const place = { item_id, output_index: 0, content_index: 0 };
    const empty = { type: "output_text", text: "", annotations: [], logprobs: [] };
    expect(part).toMatchObject({ ...place, part: empty });

    const deltas = rest.filter(({ type }) => type === "response.output_text.delta");
    expect(deltas.map(({ delta }) => delta).join("")).toBe(REPLY);
    expect(deltas.every((delta) => delta.logprobs.length === 0 && delta.item_id === item_id)).toBe(
      true,
    );
    const [textDone, partDone, itemDone, completed] = rest.slice(-4);
    expect(textDone).toMatchObject({ ...place, text: REPLY, logprobs: [] });
    expect(partDone).toMatchObject({ ...place, part: { ...empty, text: REPLY } });
    expect(itemDone.item).toEqual({
      ...added.item,
      status: "completed",
      content: [{ ...empty, text: REPLY }],
    });
    expect(completed.response.output).toEqual([itemDone.item]);
    expect(completed.response.id).toBe(created.response.id);

    const whole = await post(toyApp(), "/v1/responses", ask({ stream: false }));
    const anonymous = (response: Json) =>
      JSON.parse(JSON.stringify(response).replace(/(resp|msg)_[0-9a-f]+/g, "$1"));
    const { created_at, completed_at, ...expected } = anonymous(await whole.json());
    expect(anonymous(completed.response)).toMatchObject(expected);
    expect(completed.response.usage.total_tokens).toBeGreaterThan(0);
  });

  test("brings log-probabilities with the text that they are of", async () => {
    const list = await stream(toyApp(), { top_logprobs: 1 });
    const deltas = list.filter(({ type }) => type === "response.output_text.delta");
    for (const { delta, logprobs } of deltas) {
      expect(logprobs.map(({ token }: Json) => token).join("")).toBe(delta);
    }
    const done = list.find(({ type }) => type === "response.output_text.done");
    expect(done.logprobs).toEqual(deltas.flatMap(({ logprobs }) => logprobs));
  });

  test("ends as incomplete where its limit ended it", async () => {
    const reply = "One word after the other. ".repeat(5);
    const list = await stream(toyApp({ reply }), { max_output_tokens: 16 });
    expect(phases(list)).toEqual([...MESSAGE_PHASES, "response.incomplete"]);
    expect(list.at(-1).response).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      output: [{ status: "incomplete" }],
    });
  });

  test("of no text at all is an empty message", async () => {
    const list = await stream(toyApp({ reply: "" }));
    expect(phases(list)).toEqual(
      [...MESSAGE_PHASES, "response.completed"].filter((type) => !type.endsWith("text.delta")),
    );
    expectPayloads(list);
  });
});

describe("a stream that fails", () => {
  test("before its first token is answered with a status", async () => {
    const app = toyApp({
      onForward: () => {
        throw new Error("trap");
      },
    });
    const response = await post(app, "/v1/responses", ask());
    expect(response.status).toBe(500);
    expect((await response.json()).error.code).toBe("engine_failed");
  });

  test("later ends with the error, response.failed and [DONE], and is logged", async () => {
    const entries: LogEntry[] = [];
    const { engine } = createToy({
      onForward: (call) => {
        if (call === 4) throw new Error("trap");
      },
    });
    const app = createApp({ engine, log: (entry) => entries.push(entry) });
    const list = await stream(app);
    expectPayloads(list);
    expect(types(list).slice(-2)).toEqual(["error", "response.failed"]);
    const { response } = list.at(-1);
    expect(response).toMatchObject({
      status: "failed",
      error: { code: "server_error" },
      completed_at: null,
      output: [{ status: "incomplete", content: [{ type: "output_text" }] }],
    });
    expect(response.error.message).toBe(list.at(-2).message);
    expect(list.at(-2).code).toBe("engine_failed");
    expect(entries.filter(({ error }) => error !== undefined)).toHaveLength(1);
    expect((await app.request(`/v1/responses/${response.id}`)).status).toBe(404);
  });

  test("after a silence, before its first token, has every event that a client waits for", async () => {
    let fail = (): void => {};
    const { engine } = createToy({
      onForward: () => new Promise((_, reject) => (fail = () => reject(new Error("trap")))),
    });
    let ping = (): void => {};
    const app = createApp({
      engine,
      ping: {
        everyMs: 1,
        after: (_, run) => {
          ping = run;
          return () => {};
        },
      },
    });
    const answer = post(app, "/v1/responses", ask());
    await new Promise((resolve) => setTimeout(resolve, 20));
    ping();
    const response = await answer;
    expect(response.status).toBe(200);
    const text = events(response);
    fail();
    const list = (await text).filter((event) => event.startsWith("event: "));
    expect(list.map((event) => event.slice(7, event.indexOf("\n")))).toEqual([
      "response.created",
      "response.in_progress",
      "error",
      "response.failed",
    ]);
  });
});

test("a client that leaves a stream leaves nothing in the store", async () => {
  const { engine } = createToy();
  const app = createApp({ engine });
  const response = await post(app, "/v1/responses", ask({ ignore_eos: true }));
  const reader = response.body!.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(engine.stats()).toMatchObject({ busy: 0, queued: 0 });
  const [, id] = /"id":"(resp_[0-9a-f]+)"/.exec(new TextDecoder().decode(value)) ?? [];
  expect(id).toBeDefined();
  expect((await app.request(`/v1/responses/${id}`)).status).toBe(404);
});
