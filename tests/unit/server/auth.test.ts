import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { CHAT, COMPLETIONS, chat, post } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const app = createApp({ engine: createToy().engine, auth: { keys: ["first", "sécond-key"] } });
const status = async (headers: Record<string, string>, path = "/v1/models"): Promise<number> =>
  (await app.request(path, { headers })).status;

test.each([
  ["authorization", "Bearer first"],
  ["authorization", "bearer  first "],
  ["x-api-key", "first"],
  ["api-key", "first"],
])("a key opens in %s: %s", async (name, value) => {
  expect(await status({ [name]: value })).toBe(200);
});

test("a valid key counts beside a foreign authorization", async () => {
  expect(await status({ authorization: "Basic Zm9vOmJhcg==", "x-api-key": "first" })).toBe(200);
  expect(await status({ authorization: "Bearer other", "api-key": "first" })).toBe(200);
});

test.each([
  {},
  { authorization: "first" },
  { authorization: "Bearer" },
  { authorization: "Bearer " },
  { authorization: "Bearer firs" },
  { authorization: "Bearer first2" },
  { authorization: "Bearer FIRST" },
  { authorization: "Basic first" },
  { "x-api-key": "" },
  { "x-api-key": "second-key" },
])("%j does not", async (headers) => {
  expect(await status(headers as Record<string, string>)).toBe(401);
});

test("the refusal is OpenAI's", async () => {
  const response = await post(app, CHAT, chat());
  expect(response.status).toBe(401);
  expect(response.headers.get("www-authenticate")).toBe("Bearer");
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
  expect(await response.json()).toEqual({
    error: {
      message: "missing or unknown API key",
      type: "invalid_request_error",
      param: null,
      code: "invalid_api_key",
    },
  });
});

describe("every route is closed", () => {
  test.each([
    ["POST", CHAT],
    ["POST", COMPLETIONS],
    ["GET", "/v1/models"],
    ["HEAD", "/v1/models"],
    ["GET", "/v1/models/toy/llama"],
    ["POST", "/v1//chat/completions/"],
  ])("%s %s", async (method, path) => {
    expect((await app.request(path, { method })).status).toBe(401);
  });

  test("but health and preflights", async () => {
    expect((await app.request("/health")).status).toBe(200);
    expect((await app.request(CHAT, { method: "OPTIONS" })).status).toBe(204);
  });
});

test.each([[[]], [[""]], [["good", ""]]])("keys %j are refused when the app is made", (keys) => {
  expect(() => createApp({ engine: createToy().engine, auth: { keys } })).toThrow("auth.keys");
});
