/** What is kept of responses: reading it, going on from it, whose it is, and stores that fail. */
import { describe, expect, test } from "vitest";
import {
  type AppOptions,
  createApp,
  memoryResponseStore,
  type ResponseStore,
} from "../../../src/server/app.ts";
import type { LogEntry } from "../../../src/server/context.ts";
import { type App, CHAT, chat, type Json, post, postJson } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const REPLY = "There are 7 days in a week.";
const QUESTION = "How many days are in a week?";
const user = { role: "user", content: QUESTION };
const said = { role: "assistant", content: REPLY };
const { engine } = createToy();
const serve = (options: Partial<AppOptions> = {}): App => createApp({ engine, ...options });
const app = serve();

const ask = (fields: Record<string, unknown> = {}) => ({
  model: "toy/llama",
  input: QUESTION,
  temperature: 0,
  ...fields,
});
const respond = async (fields: Record<string, unknown> = {}, to = app): Promise<Json> =>
  (await postJson(to, "/v1/responses", ask(fields))).json;
const request = async (path: string, init: RequestInit = {}, to = app) => {
  const response = await to.request(`/v1/responses/${path}`, init);
  return { status: response.status, json: (await response.json()) as Json };
};
const promptTokens = async (messages: unknown[]): Promise<number> =>
  (await postJson(app, CHAT, chat({ messages, max_tokens: 1 }))).json.usage.prompt_tokens;

describe("a response that is kept", () => {
  test("is read as it was answered, streamed or not", async () => {
    const response = await respond({ metadata: { a: "b" } });
    expect(await request(response.id)).toEqual({ status: 200, json: response });
    const streamed = await (await post(app, "/v1/responses", ask({ stream: true }))).text();
    const [, last = "null"] = /event: response\.completed\ndata: (.*)\n/.exec(streamed) ?? [];
    const { response: completed } = JSON.parse(last);
    expect((await request(completed.id)).json).toEqual(completed);
  });

  test("is deleted once", async () => {
    const { id } = await respond();
    expect(await request(id, { method: "DELETE" })).toEqual({
      status: 200,
      json: { id, object: "response", deleted: true },
    });
    for (const method of ["GET", "DELETE"]) {
      const { status, json } = await request(id, { method });
      expect([status, json.error.code]).toEqual([404, "not_found"]);
    }
  });

  test("has an id that leads back to where its request was sent", async () => {
    const headers = { "x-pronk-affinity": "0123456789abcdef" };
    const { id } = (await (await post(app, "/v1/responses", ask(), { headers })).json()) as Json;
    expect(id).toMatch(/^resp_0123456789abcdef[0-9a-f]{32}$/);
    expect((await request(id)).status).toBe(200);
    expect((await respond({ previous_response_id: id })).previous_response_id).toBe(id);
  });

  test("is not there under other ids", async () => {
    for (const id of ["resp_1", "resp_", "x", "resp_..%2f..%2fx", `resp_${"a".repeat(500)}`]) {
      const { status, json } = await request(id);
      expect([id, status, json.error.param]).toEqual([id, 404, "id"]);
      expect(json.error.message.length).toBeLessThan(150);
    }
  });

  test("cannot be cancelled, nor streamed again", async () => {
    const { id } = await respond();
    const cancelled = await request(`${id}/cancel`, { method: "POST" });
    expect([cancelled.status, cancelled.json.error.param]).toEqual([400, "background"]);
    expect((await request("resp_1/cancel", { method: "POST" })).status).toBe(404);
    const streamed = await request(`${id}?stream=true`);
    expect([streamed.status, streamed.json.error.param]).toEqual([400, "stream"]);
  });

  test("is not where the request says store: false", async () => {
    const response = await respond({ store: false });
    expect(response.store).toBe(false);
    expect((await request(response.id)).status).toBe(404);
  });

  test("is kept where its limit ended it", async () => {
    const { id, status } = await respond({ max_output_tokens: 16, ignore_eos: true });
    expect(status).toBe("incomplete");
    expect((await request(id)).json.status).toBe("incomplete");
  });
});

describe("its input items", () => {
  const input = [1, 2, 3, 4, 5].map((n) => ({ role: "user", content: `Number ${n}` }));
  const texts = (json: Json) => json.data.map(({ content: [{ text }] }: Json) => text);

  test("are listed from the newest on, or the other way", async () => {
    const { id } = await respond({ input });
    const { json } = await request(`${id}/input_items`);
    expect(texts(json)).toEqual([5, 4, 3, 2, 1].map((n) => `Number ${n}`));
    expect(json).toMatchObject({
      object: "list",
      has_more: false,
      first_id: json.data[0].id,
      last_id: json.data[4].id,
    });
    expect(json.data[0]).toEqual({
      type: "message",
      id: id.replace("resp_", "msg_").concat("_in4"),
      status: "completed",
      role: "user",
      content: [{ type: "input_text", text: "Number 5" }],
    });
    expect(texts((await request(`${id}/input_items?order=asc`)).json)[0]).toBe("Number 1");
  });

  test("come in pages", async () => {
    const { id } = await respond({ input });
    const pages: string[][] = [];
    for (let after = "", more = true; more; ) {
      const { json } = await request(`${id}/input_items?limit=2&order=asc${after}`);
      pages.push(texts(json));
      after = `&after=${json.last_id}`;
      more = json.has_more;
    }
    expect(pages).toEqual([["Number 1", "Number 2"], ["Number 3", "Number 4"], ["Number 5"]]);
  });

  test.each(["limit=0", "limit=101", "limit=x", "limit=", "order=up", "after=msg_1"])(
    "are not listed with %s",
    async (query) => {
      const { id } = await respond();
      const { status, json } = await request(`${id}/input_items?${query}`);
      expect([status, json.error.param]).toEqual([400, query.split("=")[0]]);
    },
  );

  test("are those of the whole conversation, each under its own id", async () => {
    const first = await respond();
    const second = await respond({ previous_response_id: first.id, input });
    const { json } = await request(`${second.id}/input_items?order=asc`);
    expect(texts(json).slice(0, 3)).toEqual([QUESTION, REPLY, "Number 1"]);
    const ids = json.data.map((item: Json) => item.id);
    expect(new Set(ids).size).toBe(7);
    expect(ids[1]).toBe(first.output[0].id);
  });
});

describe("previous_response_id", () => {
  test("goes on from a conversation, without its instructions", async () => {
    const first = await respond({ instructions: "Be brief." });
    const second = await respond({ previous_response_id: first.id });
    expect(second.previous_response_id).toBe(first.id);
    expect(second.instructions).toBe(null);
    expect(second.usage.input_tokens).toBe(await promptTokens([user, said, user]));
    const third = await respond({ previous_response_id: second.id, instructions: "Hm." });
    expect(third.usage.input_tokens).toBe(
      await promptTokens([{ role: "system", content: "Hm." }, user, said, user, said, user]),
    );
  });

  test("goes on where what came before is deleted", async () => {
    const first = await respond();
    const second = await respond({ previous_response_id: first.id });
    await request(first.id, { method: "DELETE" });
    const third = await respond({ previous_response_id: second.id });
    expect(third.usage.input_tokens).toBe(await promptTokens([user, said, user, said, user]));
  });

  test("of no response is refused", async () => {
    const { error } = await respond({ previous_response_id: "resp_none" });
    expect(error).toMatchObject({
      code: "previous_response_not_found",
      param: "previous_response_id",
      message: expect.stringContaining("Previous response with id 'resp_none' not found."),
    });
  });
});

describe("item_reference", () => {
  test("stands for an item that came in or out", async () => {
    const { id, output } = await respond();
    const { json } = await request(`${id}/input_items`);
    const input = [
      { type: "item_reference", id: json.data[0].id },
      { type: "item_reference", id: output[0].id },
      user,
    ];
    const second = await respond({ input });
    expect(second.usage.input_tokens).toBe(await promptTokens([user, said, user]));
    // Again from the list of the second: references of references.
    const list = (await request(`${second.id}/input_items?order=asc`)).json.data;
    expect(list.map((item: Json) => item.id)).toEqual(
      [0, 1, 2].map((n) => `${second.id.replace("resp_", "msg_")}_in${n}`),
    );
    const third = await respond({ input: [{ type: "item_reference", id: list[1].id }, user] });
    expect(third.usage.input_tokens).toBe(await promptTokens([said, user]));
  });

  test.each(["msg_1", "msg_abc_0", "rs_abc_0", "resp_1", ""])("%s is of no item", async (id) => {
    const { error } = await respond({ input: [user, { type: "item_reference", id }] });
    expect(error).toMatchObject({ code: "invalid_value", param: "input[1]" });
  });

  test("to more responses than a conversation has is refused", async () => {
    let reads = 0;
    const message = { type: "message", status: "completed", role: "user" };
    const content = [{ type: "input_text", text: "a" }];
    const store: ResponseStore = {
      get: async (id) => {
        reads++;
        const item = { ...message, id: `${id.replace("resp_", "msg_")}_in0`, content };
        const response = { id, output: [] };
        return JSON.stringify({
          owner: null,
          expires_at: Date.now() + 1e6,
          response,
          items: [item],
        });
      },
      put: async () => {},
      delete: async () => {},
    };
    const input = Array.from({ length: 1000 }, (_, i) => ({
      type: "item_reference",
      id: `msg_${i}_in0`,
    }));
    const few = await respond({ input: input.slice(0, 3) }, serve({ responses: { store } }));
    expect(few.error).toBeNull();
    reads = 0;
    const { error } = await respond({ input }, serve({ responses: { store } }));
    expect(error.param).toBe("input[256]");
    expect(reads).toBe(256);
  });
});

describe("a key's responses", () => {
  const shared = serve({ auth: { keys: ["one", "two"] } });
  const as = (key: string): RequestInit => ({ headers: { authorization: `Bearer ${key}` } });

  test("are there for that key only", async () => {
    const made = await post(shared, "/v1/responses", ask(), as("one"));
    const { id, output } = await made.json();
    expect((await request(id, as("one"), shared)).status).toBe(200);
    expect((await request(id, { headers: { "x-api-key": "one" } }, shared)).status).toBe(200);
    expect((await request(id, as("two"), shared)).status).toBe(404);
    expect((await request(`${id}/input_items`, as("two"), shared)).status).toBe(404);
    expect((await request(id, { ...as("two"), method: "DELETE" }, shared)).status).toBe(404);
    expect((await request(id, {}, shared)).status).toBe(401);
    for (const fields of [
      { previous_response_id: id },
      { input: [{ type: "item_reference", id: output[0].id }] },
    ]) {
      expect((await post(shared, "/v1/responses", ask(fields), as("two"))).status).toBe(400);
      expect((await post(shared, "/v1/responses", ask(fields), as("one"))).status).toBe(200);
    }
  });

  test("are kept without the key", async () => {
    let kept = "";
    const store = {
      ...memoryResponseStore(),
      put: async (_: string, text: string) => void (kept = text),
    };
    const secret = serve({ auth: { keys: ["very-secret-key"] }, responses: { store } });
    await post(secret, "/v1/responses", ask(), as("very-secret-key"));
    expect(kept).toContain(REPLY);
    expect(kept).not.toContain("very-secret-key");
  });
});

describe("time", () => {
  test("ends a response, also in a store that keeps it longer", async () => {
    const texts = new Map<string, string>();
    const store: ResponseStore = {
      get: async (id) => texts.get(id),
      put: async (id, text) => void texts.set(id, text),
      delete: async (id) => void texts.delete(id),
    };
    let ms = 1_700_000_000_000;
    const clock = { now: () => ms, wall: () => ms };
    const timed = serve({ clock, responses: { store, ttlSeconds: 60 } });
    const { id } = await respond({}, timed);
    ms += 59_999;
    expect((await request(id, {}, timed)).status).toBe(200);
    ms += 1;
    expect((await request(id, {}, timed)).status).toBe(404);
  });

  test("ends a response", async () => {
    let ms = 1_700_000_000_000;
    const timed = serve({
      clock: { now: () => ms, wall: () => ms },
      responses: { ttlSeconds: 60 },
    });
    const { id } = await respond({}, timed);
    ms += 59_999;
    expect((await request(id, {}, timed)).status).toBe(200);
    ms += 1;
    expect((await request(id, {}, timed)).status).toBe(404);
    expect((await respond({ previous_response_id: id }, timed)).error.code).toBe(
      "previous_response_not_found",
    );
  });
});

describe("a server without a store", () => {
  const stateless = serve({ responses: { store: false } });

  test("says that it keeps nothing", async () => {
    const response = await respond({ store: true }, stateless);
    expect(response.store).toBe(false);
    const { status, json } = await request(response.id, {}, stateless);
    expect([status, json.error.message]).toEqual([404, expect.stringContaining("keeps none")]);
  });

  test("refuses to go on from anything", async () => {
    const chained = await respond({ previous_response_id: "resp_1" }, stateless);
    expect(chained.error).toMatchObject({ code: "invalid_value", param: "previous_response_id" });
    const input = [{ type: "item_reference", id: "msg_1_0" }];
    expect((await respond({ input }, stateless)).error.param).toBe("input[0]");
  });
});

describe("a store that fails", () => {
  const broken: ResponseStore = {
    get: () => Promise.reject(new Error("bucket: secret detail")),
    put: () => Promise.reject(new Error("bucket: secret detail")),
    delete: () => Promise.reject(new Error("bucket: secret detail")),
  };

  test("costs no answer: the answer says that it is not kept, and the log why", async () => {
    const entries: LogEntry[] = [];
    const app = serve({ responses: { store: broken }, log: (entry) => entries.push(entry) });
    const response = await respond({}, app);
    expect(response).toMatchObject({ status: "completed", store: false });
    expect(entries.some(({ error }) => (error as Error)?.message === "bucket: secret detail")).toBe(
      true,
    );
    const streamed = await (await post(app, "/v1/responses", ask({ stream: true }))).text();
    expect(/event: response\.completed\ndata: .*"store":false/.test(streamed)).toBe(true);
  });

  test("is said where it is needed, to be tried again", async () => {
    const app = serve({ responses: { store: broken } });
    for (const { status, json } of [
      await request("resp_1", {}, app),
      await postJson(app, "/v1/responses", ask({ previous_response_id: "resp_1" })),
    ]) {
      expect([status, json.error.code]).toEqual([503, "source_failed"]);
      expect(json.error.message).not.toContain("secret");
    }
  });

  test("with what is no response is an error of the server", async () => {
    const store = { ...broken, get: async () => "{" };
    expect((await request("resp_1", {}, serve({ responses: { store } }))).status).toBe(500);
  });
});

describe("memoryResponseStore", () => {
  const later = Date.now() + 60_000;

  test("drops what was used least recently beyond its count", async () => {
    const store = memoryResponseStore({ maxResponses: 2 });
    await store.put("a", "1", later);
    await store.put("b", "2", later);
    await store.get("a");
    await store.put("c", "3", later);
    expect(await Promise.all(["a", "b", "c"].map((id) => store.get(id)))).toEqual([
      "1",
      undefined,
      "3",
    ]);
  });

  test("drops what was used least recently beyond its bytes", async () => {
    const store = memoryResponseStore({ maxBytes: 100 });
    await store.put("a", "x".repeat(20), later); // 42 bytes
    await store.put("b", "y".repeat(20), later);
    await store.put("b", "z".repeat(20), later); // in the other's place
    expect(await store.get("a")).toBe("x".repeat(20));
    await store.put("c", "x".repeat(20), later);
    expect(await store.get("b")).toBeUndefined();
    await store.put("d", "x".repeat(60), later); // more than all of it
    expect(await store.get("d")).toBeUndefined();
    expect(await store.get("c")).toBe("x".repeat(20));
  });

  test("forgets what is over", async () => {
    let now = 1000;
    const store = memoryResponseStore({ now: () => now });
    await store.put("a", "1", 2000);
    expect(await store.get("a")).toBe("1");
    now = 2000;
    expect(await store.get("a")).toBeUndefined();
    await store.delete("a");
  });
});
