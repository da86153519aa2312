import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { type AppOptions, createApp } from "../../../src/server/app.ts";
import { randomLoraFolder } from "../../support/random-lora.ts";
import { type App, CHAT, COMPLETIONS, chat, chunks, completion, post, postJson } from "./client.ts";
import { createToy, type Toy } from "./toy-engine.ts";

const BASE = "There are 7 days in a week.";
const PIRATE = "Arr, seven of them!";
const POET = "Seven, like the seas.";
const adapterReplies = { "models/pirate": PIRATE, "models/poet": POET };

interface Served extends Toy {
  readonly app: App;
}

async function serve(options: Partial<AppOptions> = {}): Promise<Served> {
  const toy = createToy({
    adapterReplies,
    openAdapter: async (path) => {
      if (path === "models/damaged") {
        const folder = await randomLoraFolder(path);
        folder.files.set("adapter_model.safetensors", new Uint8Array(5));
        return folder;
      }
      if (path in adapterReplies) return randomLoraFolder(path);
      throw new PronkError("not_found", `${path}: no such file`);
    },
  });
  await toy.engine.loadAdapter("pirate", "models/pirate");
  await toy.engine.loadAdapter("poet", "models/poet");
  return { ...toy, app: createApp({ engine: toy.engine, ...options }) };
}

const get = async (app: App, path: string) => {
  const response = await app.request(path);
  // biome-ignore lint/suspicious/noExplicitAny: answers are read as freely as JSON is
  return { status: response.status, json: (await response.json()) as any };
};

const said = async (app: App, fields: Record<string, unknown>): Promise<string> =>
  (await postJson(app, CHAT, chat(fields))).json.choices[0].message.content;

describe("a request's model", () => {
  test("is the model or an adapter, which the answer repeats", async () => {
    const { app } = await serve();
    for (const [model, reply] of [
      ["toy/llama", BASE],
      ["pirate", PIRATE],
      ["poet", POET],
    ]) {
      const { json } = await postJson(app, CHAT, chat({ model }));
      expect(json.choices[0].message.content).toBe(reply);
      expect(json.model).toBe(model);
    }
  });

  test("is an adapter for completions and streams, too", async () => {
    const { app } = await serve();
    const { json } = await postJson(app, COMPLETIONS, completion({ model: "pirate" }));
    expect(json).toMatchObject({ model: "pirate", choices: [{ text: PIRATE }] });
    const all = await chunks(await post(app, CHAT, chat({ model: "poet", stream: true })));
    expect(all.every(({ model }) => model === "poet")).toBe(true);
    expect(all.map(({ choices }) => choices[0].delta.content ?? "").join("")).toBe(POET);
  });

  test("that is neither is refused with what there is", async () => {
    const { app } = await serve();
    for (const [path, body] of [
      [CHAT, chat({ model: "parrot" })],
      [COMPLETIONS, completion({ model: "parrot" })],
    ] as const) {
      const { status, json } = await postJson(app, path, body);
      expect(status).toBe(404);
      expect(json.error).toEqual({
        message: 'model: "parrot" is not served here, "toy/llama", "pirate", "poet" are',
        type: "invalid_request_error",
        param: "model",
        code: "model_not_found",
      });
    }
  });

  test("requests for several of them run side by side and each has its own answer", async () => {
    const { app } = await serve();
    const models = ["pirate", "toy/llama", "poet", "pirate", "toy/llama"];
    const replies = await Promise.all(models.map((model) => said(app, { model })));
    expect(replies).toEqual([PIRATE, BASE, POET, PIRATE, BASE]);
  });

  test("every choice of a request has its adapter, also after the default was changed", async () => {
    const { app, engine } = await serve();
    engine.setAdapters([{ name: "pirate" }]);
    const answer = postJson(app, CHAT, chat({ n: 6 }));
    while (engine.stats().requests === 0) await new Promise((resolve) => setImmediate(resolve));
    engine.setAdapters([]);
    const { choices } = (await answer).json;
    // biome-ignore lint/suspicious/noExplicitAny: JSON
    expect(choices.map((choice: any) => choice.message.content)).toEqual(Array(6).fill(PIRATE));
  });
});

test("an answer's fingerprint tells which adapters it was given with, and at which scale", async () => {
  const { app, engine } = await serve();
  const [pirate, poet] = engine.adapters.map(({ fingerprint }) => fingerprint);
  const of = async (fields: Record<string, unknown>): Promise<string> =>
    (await postJson(app, CHAT, chat(fields))).json.system_fingerprint;
  expect(await of({})).toBe("fp_toy");
  expect(await of({ model: "pirate" })).toBe(`fp_toy+${pirate}*1`);
  const lora = [
    { id: 1, scale: 0.5 },
    { id: 0, scale: -1 },
  ];
  expect(await of({ lora })).toBe(`fp_toy+${pirate}*-1+${poet}*0.5`);
  expect(await of({ lora: [{ id: 0, scale: 0 }] })).toBe("fp_toy");
  engine.setAdapters([{ name: "poet" }]);
  expect(await of({})).toBe(`fp_toy+${poet}*1`);
});

test("the list of models has the adapters behind their model", async () => {
  const { app, engine } = await serve();
  const base = {
    ...{ id: "toy/llama", object: "model", created: 1_700_000_000, owned_by: "pronk" },
    ...{ context_length: 256, backend: "toy", kernel: "script" },
    ...{ kernel_reason: "script: the only one", root: "toy/llama", parent: null },
    ...{ threads: 1, memory: { total: 0, weights: 0, kv: 0 } },
  };
  const pirate = { ...base, id: "pirate", root: "models/pirate", parent: "toy/llama" };
  const poet = { ...base, id: "poet", root: "models/poet", parent: "toy/llama" };
  expect((await get(app, "/v1/models")).json).toEqual({
    object: "list",
    data: [base, pirate, poet],
  });
  expect((await get(app, "/v1/models/poet")).json).toEqual(poet);
  await engine.unloadAdapter("poet");
  const { status, json } = await get(app, "/v1/models/poet");
  expect(status).toBe(404);
  expect(json.error.message).toBe('model: "poet" is not served here, "toy/llama", "pirate" are');
});

test("a key sees the models that it may ask for, and no others", async () => {
  const keys = [{ key: "k", models: ["toy/llama", "poet"] }, { key: "all" }];
  const { app } = await serve({ auth: { keys } });
  const as = async (key: string, path: string, body?: unknown) => {
    const headers = { "x-api-key": key };
    const response =
      body === undefined
        ? await app.request(path, { headers })
        : await post(app, path, body, { headers });
    // biome-ignore lint/suspicious/noExplicitAny: answers are read as freely as JSON is
    return { status: response.status, json: (await response.json()) as any };
  };
  const ids = (list: { id?: string; name?: string }[]) => list.map((one) => one.id ?? one.name);
  for (const [key, names] of [
    ["k", ["toy/llama", "poet"]],
    ["all", ["toy/llama", "pirate", "poet"]],
  ] as const) {
    expect(ids((await as(key, "/v1/models")).json.data)).toEqual(names);
    expect(ids((await as(key, "/api/tags")).json.models)).toEqual(names);
    expect(ids((await as(key, "/api/ps")).json.models)).toEqual(names);
    expect((await as(key, "/v1/models/poet")).status).toBe(200);
    const status = key === "k" ? 403 : 200;
    expect((await as(key, "/v1/models/pirate")).status).toBe(status);
    expect((await as(key, "/api/show", { model: "pirate" })).status).toBe(status);
  }
});

describe("the field lora", () => {
  test("chooses adapters by their ids; those that are not in it take no part", async () => {
    const { app, engine } = await serve();
    engine.setAdapters([{ name: "pirate" }]);
    expect(await said(app, {})).toBe(PIRATE);
    expect(await said(app, { lora: null })).toBe(PIRATE);
    expect(await said(app, { lora: [] })).toBe(BASE);
    expect(await said(app, { lora: [{ id: 1, scale: 1 }] })).toBe(POET);
    expect(await said(app, { lora: [{ id: 0, scale: 0.5 }] })).toBe(BASE);
    const { json } = await postJson(app, COMPLETIONS, completion({ lora: [{ id: 1, scale: 1 }] }));
    expect(json).toMatchObject({ model: "toy/llama", choices: [{ text: POET }] });
  });

  test.each<[string, unknown, number, string, string]>([
    [
      "an unknown id",
      [{ id: 7, scale: 1 }],
      404,
      "lora[0].id",
      "lora[0].id: no adapter 7 is loaded; 0 (pirate), 1 (poet)",
    ],
    [
      "no scale",
      [{ id: 0 }],
      400,
      "lora[0].scale",
      "lora[0].scale: expected a number, got nothing",
    ],
    ["no id", [{ scale: 1 }], 400, "lora[0].id", "lora[0].id: expected a number, got nothing"],
    [
      "a scale beyond bounds",
      [{ id: 0, scale: 1e9 }],
      400,
      "lora[0].scale",
      "lora[0].scale: expected at most 100, got 1000000000",
    ],
    [
      "an id twice",
      [
        { id: 0, scale: 1 },
        { id: 0, scale: 1 },
      ],
      400,
      "lora[1].id",
      "lora[1].id: adapter 0 is given twice",
    ],
    ["no list", { id: 0, scale: 1 }, 400, "lora", "lora: expected a list, got an object"],
  ])("with %s is refused", async (_, lora, status, param, message) => {
    // biome-ignore format: a table
    const { app } = await serve();
    const { json, ...reply } = await postJson(app, CHAT, chat({ lora }));
    expect(reply.status).toBe(status);
    expect(json.error).toMatchObject({ type: "invalid_request_error", param, message });
  });

  test("beside an adapter as the model is refused: they may not mean the same", async () => {
    const { app } = await serve();
    const { status, json } = await postJson(app, CHAT, chat({ model: "pirate", lora: [] }));
    expect(status).toBe(400);
    expect(json.error).toMatchObject({
      param: "lora",
      message: "lora: not with an adapter as the model, pirate is one",
    });
  });
});

describe("/lora-adapters", () => {
  test("lists adapters with the scales that requests get which name none", async () => {
    const { app, engine } = await serve();
    engine.setAdapters([{ name: "poet", scale: 0.25 }]);
    expect((await get(app, "/lora-adapters")).json).toEqual([
      { id: 0, name: "pirate", path: "models/pirate", scale: 0 },
      { id: 1, name: "poet", path: "models/poet", scale: 0.25 },
    ]);
  });

  test("sets these scales; what is not in the list is at 0", async () => {
    const { app } = await serve();
    const scales = async (): Promise<number[]> =>
      (await get(app, "/lora-adapters")).json.map(({ scale }: { scale: number }) => scale);
    const { status, json } = await postJson(app, "/lora-adapters", [{ id: 1, scale: 1 }]);
    expect({ status, json }).toEqual({ status: 200, json: { success: true } });
    expect(await scales()).toEqual([0, 1]);
    expect(await said(app, {})).toBe(POET);
    await postJson(app, "/lora-adapters", [{ id: 0, scale: 2 }]);
    expect(await scales()).toEqual([2, 0]);
    await postJson(app, "/lora-adapters", []);
    expect(await said(app, {})).toBe(BASE);
  });

  test.each<[unknown, number, string, string | null]>([
    [
      [{ id: 2, scale: 1 }],
      404,
      "body[0].id: no adapter 2 is loaded; 0 (pirate), 1 (poet)",
      "body[0].id",
    ],
    [{ id: 0, scale: 1 }, 400, "body: expected a list, got an object", null],
    [[{ id: 0, scale: "1" }], 400, '[0].scale: expected a number, got "1"', "[0].scale"],
  ])("refuses %j with nothing changed", async (body, status, message, param) => {
    // biome-ignore format: a table
    const { app, engine } = await serve();
    engine.setAdapters([{ name: "pirate" }]);
    const { json, ...reply } = await postJson(app, "/lora-adapters", body);
    expect(reply.status).toBe(status);
    expect(json.error).toMatchObject({ message, param });
    expect(engine.adapters.map(({ default_scale }) => default_scale)).toEqual([1, 0]);
  });

  test("needs the key that every other route needs", async () => {
    const { app } = await serve({ auth: { keys: ["secret"] }, allowAdapterLoading: true });
    const paths = ["/lora-adapters", "/v1/load_lora_adapter", "/v1/unload_lora_adapter"];
    for (const path of paths) {
      expect((await post(app, path, [])).status).toBe(401);
    }
    expect((await app.request("/lora-adapters")).status).toBe(401);
    const headers = { authorization: "Bearer secret" };
    expect((await app.request("/lora-adapters", { headers })).status).toBe(200);
  });
});

describe("loading and unloading", () => {
  const LOAD = "/v1/load_lora_adapter";
  const UNLOAD = "/v1/unload_lora_adapter";

  test("are off unless the server's owner allows them", async () => {
    const { app, engine } = await serve();
    for (const path of [LOAD, UNLOAD]) {
      const { status, json } = await postJson(app, path, {
        lora_name: "poet",
        lora_path: "models/poet",
      });
      expect(status).toBe(403);
      expect(json.error).toMatchObject({ type: "invalid_request_error", code: "not_allowed" });
      expect(json.error.message).toContain("--allow-lora-loading");
    }
    expect(engine.adapters).toHaveLength(2);
  });

  test("bring an adapter that the next request can name, and take it away", async () => {
    const { app, engine } = await serve({ allowAdapterLoading: true });
    const loaded = await post(app, LOAD, { lora_name: "rhyme", lora_path: "models/poet" });
    expect([loaded.status, await loaded.text()]).toEqual([
      200,
      "Success: LoRA adapter 'rhyme' added successfully.",
    ]);
    expect(await said(app, { model: "rhyme" })).toBe(POET);
    expect(await said(app, {})).toBe(BASE);
    const gone = await post(app, UNLOAD, { lora_name: "rhyme", lora_int_id: 3 });
    expect([gone.status, await gone.text()]).toEqual([
      200,
      "Success: LoRA adapter 'rhyme' removed successfully.",
    ]);
    expect((await postJson(app, CHAT, chat({ model: "rhyme" }))).status).toBe(404);
    expect(engine.adapters.map(({ name }) => name)).toEqual(["pirate", "poet"]);
  });

  test("in place take another adapter of the same name", async () => {
    const { app } = await serve({ allowAdapterLoading: true });
    const body = { lora_name: "pirate", lora_path: "models/poet", load_inplace: true };
    expect((await post(app, LOAD, body)).status).toBe(200);
    expect(await said(app, { model: "pirate" })).toBe(POET);
  });

  test.each<[string, string, unknown, number, string, string]>([
    [
      "a name that is taken",
      LOAD,
      { lora_name: "poet", lora_path: "models/poet" },
      400,
      "lora_name",
      '"poet" is loaded already',
    ],
    [
      "the model's name",
      LOAD,
      { lora_name: "toy/llama", lora_path: "models/poet" },
      400,
      "lora_name",
      "is the model's name",
    ],
    [
      "a path with nothing",
      LOAD,
      { lora_name: "x", lora_path: "models/x" },
      404,
      "lora_path",
      "models/x: no such file",
    ],
    [
      "a damaged adapter",
      LOAD,
      { lora_name: "x", lora_path: "models/damaged" },
      400,
      "lora_path",
      "adapter_model.safetensors",
    ],
    [
      "no path",
      LOAD,
      { lora_name: "x" },
      400,
      "lora_path",
      "lora_path: expected a string, got nothing",
    ],
    [
      "an empty name",
      LOAD,
      { lora_name: "", lora_path: "x" },
      400,
      "lora_name",
      "lora_name: expected at least 1",
    ],
    ["no name", UNLOAD, {}, 400, "lora_name", "lora_name: expected a string, got nothing"],
    [
      "a name that is not loaded",
      UNLOAD,
      { lora_name: "x" },
      404,
      "lora_name",
      '"x" is not loaded; loaded: "pirate", "poet"',
    ],
  ])("refuse %s with nothing changed", async (_, path, body, status, param, message) => {
    // biome-ignore format: a table
    const { app, engine } = await serve({ allowAdapterLoading: true });
    const { json, ...reply } = await postJson(app, path, body);
    expect(json.error).toMatchObject({ param, message: expect.stringContaining(message) });
    expect(reply.status).toBe(status);
    expect(json.error.type).toBe("invalid_request_error");
    expect(engine.adapters.map(({ name }) => name)).toEqual(["pirate", "poet"]);
  });

  test("whose client leaves in its midst changes nothing, and the name is free again", async () => {
    let opened = 0;
    const toy = createToy({
      adapterReplies,
      openAdapter: (path, signal) => {
        if (opened++ > 0) return randomLoraFolder(path);
        return new Promise((_, reject) => {
          const leave = (): void => reject(new PronkError("aborted", "aborted"));
          signal?.addEventListener("abort", leave, { once: true });
        });
      },
    });
    const app = createApp({ engine: toy.engine, allowAdapterLoading: true });
    const client = new AbortController();
    const body = { lora_name: "poet", lora_path: "models/poet" };
    const left = post(app, LOAD, body, { signal: client.signal });
    while (opened === 0) await new Promise((resolve) => setImmediate(resolve));
    client.abort();
    expect((await left).status).toBe(499);
    expect(toy.engine.adapters).toEqual([]);
    expect((await post(app, LOAD, body)).status).toBe(200);
    expect(await said(app, { model: "poet" })).toBe(POET);
  });

  test("answer other methods with those that there are", async () => {
    const { app } = await serve();
    for (const [path, allow] of [
      ["/lora-adapters", "GET, HEAD, POST, OPTIONS"],
      [LOAD, "POST, OPTIONS"],
    ] as const) {
      const response = await app.request(path, { method: "DELETE" });
      expect([response.status, response.headers.get("allow")]).toEqual([405, allow]);
    }
  });
});
