import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { CHAT } from "./client.ts";
import { createToy } from "./toy-engine.ts";

const { engine } = createToy();
const ORIGIN = "https://example.com";

describe("by default", () => {
  const app = createApp({ engine });

  test.each([CHAT, "/v1/models/a/b", "/health", "/nothing"])(
    "a preflight of %s allows what pages need",
    async (path) => {
      const response = await app.request(path, {
        method: "OPTIONS",
        headers: {
          origin: ORIGIN,
          "access-control-request-method": "POST",
          "access-control-request-headers":
            "authorization, Content-Type, x-stainless-os,openai-organization, user-agent",
        },
      });
      expect(response.status).toBe(204);
      const { headers } = response;
      expect(headers.get("access-control-allow-origin")).toBe("*");
      expect(headers.get("access-control-allow-methods")).toBe("GET,POST,DELETE,OPTIONS");
      expect(headers.get("access-control-allow-headers")).toBe(
        "authorization,content-type,x-stainless-os,openai-organization,user-agent",
      );
      expect(Number(headers.get("access-control-max-age"))).toBeGreaterThan(0);
      expect(headers.get("access-control-allow-credentials")).toBeNull();
    },
  );

  test("a preflight echoes nothing that is not a header's name", async () => {
    const response = await app.request(CHAT, {
      method: "OPTIONS",
      headers: { "access-control-request-headers": "x-good, bad name, b(d, ,\u00e4" },
    });
    expect(response.headers.get("access-control-allow-headers")).toBe(
      "authorization,content-type,x-good",
    );
  });

  test.each(["/health", "/v1/models", "/nothing", CHAT])(
    "an answer of %s is open",
    async (path) => {
      const { headers } = await app.request(path, { headers: { origin: ORIGIN } });
      expect(headers.get("access-control-allow-origin")).toBe("*");
      const exposed = headers.get("access-control-expose-headers")?.split(",");
      expect(exposed).toEqual(
        expect.arrayContaining(["x-request-id", "retry-after", "retry-after-ms", "server-timing"]),
      );
    },
  );
});

test("named origins are echoed, others get nothing, caches are told", async () => {
  const app = createApp({ engine, cors: { origins: [ORIGIN] } });
  const from = async (origin: string): Promise<Headers> =>
    (await app.request("/v1/models", { headers: { origin } })).headers;
  expect((await from(ORIGIN)).get("access-control-allow-origin")).toBe(ORIGIN);
  const foreign = await from("https://example.com.evil");
  expect(foreign.get("access-control-allow-origin")).toBeNull();
  expect(foreign.get("vary")).toBe("Origin");
  const preflight = await app.request(CHAT, {
    method: "OPTIONS",
    headers: { origin: "https://evil.example" },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-headers")).toBeNull();
});

test("false sends no CORS headers", async () => {
  const app = createApp({ engine, cors: false });
  const { headers } = await app.request("/health", { headers: { origin: ORIGIN } });
  expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
});
