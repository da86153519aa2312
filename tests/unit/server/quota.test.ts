import { describe, expect, test } from "vitest";
import { type ApiKey, type AppOptions, createApp } from "../../../src/server/app.ts";
import { type App, CHAT, COMPLETIONS, chat, completion, post } from "./client.ts";
import { createToy } from "./toy-engine.ts";

/** Some second of some minute. */
const START = Date.UTC(2026, 10, 21, 12, 30, 15);

interface Closed {
  readonly app: App;
  readonly clock: { ms: number };
  ask(key?: string, fields?: Record<string, unknown>): Promise<Response>;
}

function closed(keys: readonly ApiKey[], options: Partial<AppOptions> = {}): Closed {
  const clock = { ms: START };
  const app = createApp({
    engine: createToy().engine,
    auth: { keys },
    clock: { now: () => clock.ms, wall: () => clock.ms },
    ...options,
  });
  const ask: Closed["ask"] = (key = "k", fields = {}) =>
    post(app, COMPLETIONS, completion({ max_tokens: 4, ...fields }), {
      headers: { "x-api-key": key },
    });
  return { app, clock, ask };
}

const header = (response: Response, name: string): string | null =>
  response.headers.get(`x-ratelimit-${name}`);

describe("requests a minute", () => {
  test("are counted down in headers, then refused until one has come back", async () => {
    const { ask, clock } = closed([{ key: "k", requestsPerMinute: 2 }]);
    const first = await ask();
    expect(first.status).toBe(200);
    expect(header(first, "limit-requests")).toBe("2");
    expect(header(first, "remaining-requests")).toBe("1");
    expect(header(first, "reset-requests")).toBe("30s");
    expect(header(first, "limit-tokens")).toBeNull();
    await ask();

    const refused = await ask();
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("30");
    expect(refused.headers.get("retry-after-ms")).toBe("30000");
    expect(refused.headers.get("x-should-retry")).toBe("true");
    expect(header(refused, "remaining-requests")).toBe("0");
    expect(refused.headers.get("access-control-expose-headers")).toContain(
      "x-ratelimit-reset-requests",
    );
    expect((await refused.json()).error).toMatchObject({
      type: "rate_limit_error",
      code: "rate_limit_exceeded",
    });

    clock.ms += 29_999;
    expect((await ask()).status).toBe(429);
    clock.ms += 1;
    expect((await ask()).status).toBe(200);
    expect((await ask()).status).toBe(429);
    clock.ms += 600_000;
    const statuses = [await ask(), await ask(), await ask()].map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 429]);
  });

  test("come back evenly: no minute takes twice its limit, wherever it begins", async () => {
    const { ask, clock } = closed([{ key: "k", requestsPerMinute: 6 }]);
    const admitted: number[] = [];
    for (let i = 0; i < 400; i++) {
      if ((await ask()).status === 200) admitted.push(clock.ms);
      clock.ms += 1000;
    }
    // All at once at first, then one each ten seconds.
    expect(admitted.slice(6).every((ms, i) => ms - (admitted[i + 5] ?? 0) <= 10_000)).toBe(true);
    for (const from of admitted) {
      const within = admitted.filter((ms) => ms >= from && ms < from + 60_000);
      expect(within.length).toBeLessThan(12);
    }
    expect(admitted.length).toBe(6 + Math.floor(399 / 10));
  });

  test("of a limit of none are never let in", async () => {
    const { ask, clock } = closed([{ key: "k", requestsPerMinute: 0 }]);
    expect((await ask()).headers.get("retry-after")).toBe("60");
    clock.ms += 3_600_000;
    expect((await ask()).status).toBe(429);
  });

  test("that are refused do not count, nor do those that ask for nothing", async () => {
    const { app, ask } = closed([{ key: "k", requestsPerDay: 2 }]);
    for (let i = 0; i < 5; i++) {
      await app.request("/v1/models", { headers: { "x-api-key": "k" } });
      await ask("unknown");
    }
    const statuses = [await ask(), await ask(), await ask()].map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 429]);
  });

  test("of two keys are their own", async () => {
    const { ask } = closed([{ key: "a" }, { key: "b" }], { quota: { requestsPerMinute: 1 } });
    const statuses = [await ask("a"), await ask("b"), await ask("a")].map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 429]);
  });

  test("never let two through for one place", async () => {
    const { ask } = closed([{ key: "k", requestsPerMinute: 3 }]);
    const all = await Promise.all(Array.from({ length: 8 }, () => ask()));
    expect(all.filter(({ status }) => status === 200)).toHaveLength(3);
  });
});

test("a day's limit is refused for as long, which no client should wait", async () => {
  const { ask, clock } = closed([{ key: "k", requestsPerDay: 1, requestsPerMinute: 9 }]);
  await ask();
  const refused = await ask();
  expect(refused.status).toBe(429);
  expect(refused.headers.get("x-should-retry")).toBe("false");
  expect(header(refused, "reset-requests")).toBe("24h0m0s");
  expect(Number(refused.headers.get("retry-after"))).toBe(24 * 3600);
  clock.ms += 24 * 3_600_000;
  expect((await ask()).status).toBe(200);
});

describe("tokens a minute", () => {
  test("count prompts once and every choice's output, whole or streamed", async () => {
    for (const stream of [false, true]) {
      const { ask } = closed([{ key: "k", tokensPerMinute: 1000 }]);
      const response = await ask("k", { n: 3, prompt: [1, 2, 3, 4, 5], stream });
      await response.text();
      expect(header(await ask(), "remaining-tokens")).toBe(String(1000 - 5 - 3 * 4));
    }
  });

  test("of a stream whose client left are what was generated", async () => {
    const { ask } = closed([{ key: "k", tokensPerMinute: 1000 }]);
    const response = await ask("k", {
      prompt: [1, 2, 3],
      stream: true,
      max_tokens: 200,
      ignore_eos: true,
    });
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const left = Number(header(await ask(), "remaining-tokens"));
    expect(left).toBeLessThan(1000 - 3);
    expect(left).toBeGreaterThan(1000 - 20);
  });

  test("that are used up refuse the next request until one has come back", async () => {
    const { ask, clock } = closed([{ key: "k" }], { quota: { tokensPerMinute: 5 } });
    expect((await ask("k", { prompt: [1, 2, 3] })).status).toBe(200);
    const refused = await ask();
    expect(refused.status).toBe(429);
    expect(header(refused, "remaining-tokens")).toBe("0");
    expect((await refused.json()).error.message).toContain("tokens are used up");
    // 3 and 4 of 5 were taken: 3 have to come back, at one in 12 s.
    expect(refused.headers.get("retry-after")).toBe("36");
    clock.ms += 36_000;
    expect((await ask()).status).toBe(200);
  });
});

test("without keys a quota is everybody's together", async () => {
  const app = createApp({ engine: createToy().engine, quota: { requestsPerMinute: 1 } });
  expect((await post(app, CHAT, chat())).status).toBe(200);
  expect((await post(app, CHAT, chat())).status).toBe(429);
});

test("a store that does not answer is a 503, and nothing is run", async () => {
  const toy = createToy();
  const app = createApp({
    engine: toy.engine,
    quota: { requestsPerMinute: 1 },
    quotaStore: {
      admit: () => Promise.reject(new Error("gone")),
      spend: () => {},
    },
  });
  const response = await post(app, CHAT, chat());
  expect(response.status).toBe(503);
  expect(response.headers.get("x-should-retry")).toBe("true");
  expect(toy.forwards()).toBe(0);
});
