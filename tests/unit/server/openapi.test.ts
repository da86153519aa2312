import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import type { OpenApiDocument } from "../../../src/server/openapi/document.ts";
import { CHAT, COMPLETIONS, chat, chunks, completion, type Json, post } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const { engine } = createToy();
const app = createApp({ engine });
const documentOf = async (of: typeof app): Promise<OpenApiDocument> =>
  (await of.request("/openapi.json")).json();
const document = await documentOf(app);
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    path,
    method,
    operation,
  })),
);

test("every route of the app is in the document, and nothing else", () => {
  const served = app.routes
    .filter(({ method, path }) => method !== "ALL" && path !== "/*")
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(?:\{[^}]*\})?/g, "{$1}")}`);
  expect(served.length).toBeGreaterThan(8);
  expect(operations.map(({ name }) => name).sort()).toEqual(served.sort());
});

describe("every operation says what it does, takes and answers", () => {
  test.each(operations)("$name", ({ path, method, operation }) => {
    expect(operation.summary).toMatch(/^[A-Z].{8,}[^.]$/);
    expect(operation.tags).toHaveLength(1);
    const statuses = Object.keys(operation.responses);
    if (path.endsWith("/cancel")) {
      expect(statuses).toEqual(["400", "404", "500", "503"]); // it only refuses
    } else {
      if (method === "post") expect(operation.requestBody).toBeDefined();
      expect(statuses.some((status) => status.startsWith("2"))).toBe(true);
    }
    for (const { description, content } of Object.values(operation.responses)) {
      expect(description).not.toBe("Refused.");
      expect(Object.keys(content).length).toBeGreaterThan(0);
    }
    const named = (operation.parameters ?? []).filter((p) => p.in === "path").map((p) => p.name);
    expect(named).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
  });

  test("under ids of their own", () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

test("keys are asked for where they are needed, on a server that has some", async () => {
  const closed = await documentOf(createApp({ engine, auth: { keys: ["k"] } }));
  expect(closed.paths["/v1/models"]?.get?.security).toHaveLength(3);
  expect(Object.keys(closed.paths["/v1/models"]?.get?.responses ?? {})).toContain("401");
  expect(closed.paths["/health"]?.get?.security).toEqual([]);
  expect(document.paths["/v1/models"]?.get?.security).toEqual([]);
});

describe("answers are as documented", () => {
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema({ $id: "document", ...document });
  const at = (path: string, method: string, status: number, type: string): string => {
    const pointer = ["paths", path, method, "responses", String(status), "content", type, "schema"];
    return `document#/${pointer.map((p) => encodeURIComponent(p.replaceAll("/", "~1"))).join("/")}`;
  };
  const faults = (ref: string, value: unknown): unknown => {
    const validate = ajv.compile({ $ref: ref });
    validate(value);
    return validate.errors;
  };

  test.each<[string, string, Json]>([
    ["GET", "/v1/models", undefined],
    ["GET", "/health", undefined],
    ["GET", "/lora-adapters", undefined],
    ["POST", "/lora-adapters", []],
    ["POST", CHAT, chat({ logprobs: true, top_logprobs: 2, n: 2 })],
    ["POST", CHAT, chat({ temperature: 9 })],
    ["POST", CHAT, chat({ model: "other" })],
    ["POST", COMPLETIONS, completion({ logprobs: 1 })],
    ["POST", "/v1/responses", { model: "toy/llama", input: "a", top_logprobs: 1 }],
    ["POST", "/v1/responses", { model: "toy/llama" }],
    ["POST", "/v1/responses/input_tokens", { input: "a" }],
    ["POST", "/v1/load_lora_adapter", { lora_name: "a", lora_path: "b" }],
  ])("%s %s", async (method, path, body) => {
    const response =
      body === undefined ? await app.request(path, { method }) : await post(app, path, body);
    const ref = at(path, method.toLowerCase(), response.status, "application/json");
    expect(faults(ref, await response.json())).toBeNull();
  });

  test("also a stream's events", async () => {
    const ref = `${at(CHAT, "post", 200, "text/event-stream")}/properties/data/anyOf/1/contentSchema`;
    const all = await chunks(await post(app, CHAT, chat({ stream: true, logprobs: true })));
    expect(all.length).toBeGreaterThan(3);
    for (const chunk of all) expect(faults(ref, chunk)).toBeNull();
    expect(faults(ref, { ...all[0], choices: [{}] })).not.toBeNull();
  });

  test("also those of a response: its events, and what is kept of it", async () => {
    const ref = `${at("/v1/responses", "post", 200, "text/event-stream")}/properties/data/anyOf/1/contentSchema`;
    const body = { model: "toy/llama", input: "a", stream: true, top_logprobs: 1 };
    const text = await (await post(app, "/v1/responses", body)).text();
    const all: Json[] = [...text.matchAll(/^data: (\{.*)$/gm)].map(([, data = ""]) =>
      JSON.parse(data),
    );
    expect(all.length).toBeGreaterThan(8);
    for (const event of all) expect([event.type, faults(ref, event)]).toEqual([event.type, null]);
    expect(faults(ref, { ...all[0], type: "other" })).not.toBeNull();
    const { id } = all[0].response;
    for (const [method, path] of [
      ["GET", "/v1/responses/{id}"],
      ["GET", "/v1/responses/{id}/input_items"],
      ["POST", "/v1/responses/{id}/cancel"],
      ["DELETE", "/v1/responses/{id}"],
      ["GET", "/v1/responses/{id}"],
    ] as const) {
      const response = await app.request(path.replace("{id}", id), { method });
      const told = at(path, method.toLowerCase(), response.status, "application/json");
      expect([path, faults(told, await response.json())]).toEqual([path, null]);
    }
  });
});

describe("/docs", async () => {
  const response = await app.request("/docs");
  const page = await response.text();

  test("names every route, and has a heading for each", () => {
    expect(response.headers.get("content-type")).toContain("text/html");
    for (const { path, operation } of operations) {
      expect(page).toContain(path);
      expect(page).toContain(`<h2 id="${operation.operationId}">`);
    }
  });

  test("has no scripts and loads nothing", () => {
    expect(page).not.toMatch(/<script|<link|<img|\bsrc=|@import|url\(|https?:/);
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(page).toMatch(/<html lang="en">/);
  });
});
