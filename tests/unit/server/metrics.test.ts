import { describe, expect, test } from "vitest";
import { type AppOptions, createApp } from "../../../src/server/app.ts";
import { type App, CHAT, COMPLETIONS, chat, completion, post } from "./client.ts";
import { createToy } from "./toy-engine.ts";

/** Samples by their name and labels as they stand; refuses what is not the text format. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.slice(0, -1).split("\n")) {
    const type = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(line);
    if (type !== null) {
      expect(types.has(type[1]!), `${type[1]} is described once`).toBe(false);
      types.set(type[1]!, type[2]!);
      continue;
    }
    if (/^# HELP [a-z_]+ \S/.test(line)) continue;
    const sample =
      /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (-?[\d.e+-]+|\+Inf|NaN)$/.exec(
        line,
      );
    if (sample === null) throw new Error(`no sample: ${line}`);
    const [, name = "", labels = "", value] = sample;
    const family = types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, "");
    expect(types.has(family), line).toBe(true);
    expect(samples.has(name + labels), line).toBe(false);
    samples.set(name + labels, Number(value));
  }
  return samples;
}

const scrape = async (
  app: App,
  headers: Record<string, string> = {},
): Promise<Map<string, number>> => parse(await (await app.request("/metrics", { headers })).text());
const appOf = (options: Partial<AppOptions> = {}): App =>
  createApp({ engine: createToy().engine, ...options });

describe("GET /metrics", () => {
  test("counts requests by route and status, and what the engine did", async () => {
    const app = appOf();
    await post(app, CHAT, chat());
    await (await post(app, CHAT, chat({ stream: true }))).text();
    await post(app, CHAT, chat({ temperature: 9 }));
    await app.request("/v1/models/toy/llama");
    await app.request("/v1/models/other");
    await app.request("/secret-path");
    await app.request("/other-path", { method: "PUT" });
    const samples = await scrape(app);
    const requests = (method: string, route: string, status: number): number | undefined =>
      samples.get(`pronk_requests_total{method="${method}",route="${route}",status="${status}"}`);
    expect(requests("POST", CHAT, 200)).toBe(2);
    expect(requests("POST", CHAT, 400)).toBe(1);
    expect(requests("GET", "/v1/models/{id}", 200)).toBe(1);
    expect(requests("GET", "/v1/models/{id}", 404)).toBe(1);
    expect(requests("other", "other", 404)).toBe(2);
    expect([...samples.keys()].join()).not.toContain("path");

    const stats = createToy().engine.stats();
    expect(samples.get("pronk_tokens_generated_total")).toBeGreaterThan(8);
    expect(samples.get("pronk_prompt_tokens_total")).toBeGreaterThan(8);
    expect(samples.get("pronk_prompt_tokens_cached_total")).toBeGreaterThan(0);
    expect(samples.get("pronk_slots")).toBe(stats.slots);
    for (const name of [
      "slots_busy",
      "queue_depth",
      "kv_bytes",
      "weights_bytes",
      "adapter_bytes",
    ]) {
      expect(samples.get(`pronk_${name}`), name).toBe(0);
    }
    expect(samples.get("pronk_requests_in_flight")).toBe(1); // this one
    expect(samples.get("pronk_model_ready")).toBe(1);
  });

  test("has times to the first token as a cumulative histogram", async () => {
    let now = 0;
    const app = appOf({ clock: { now: () => (now += 30), wall: () => 0 } });
    for (const stream of [true, false, true]) {
      await (await post(app, COMPLETIONS, completion({ stream, max_tokens: 4 }))).text();
    }
    const samples = await scrape(app);
    const name = "pronk_time_to_first_token_seconds";
    const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket`));
    expect(buckets).toHaveLength(13);
    expect(buckets.map(([, count]) => count)).toEqual(
      [...buckets.map(([, c]) => c)].sort((a, b) => a - b),
    );
    expect(samples.get(`${name}_bucket{le="+Inf"}`)).toBe(3);
    expect(samples.get(`${name}_bucket{le="0.01"}`)).toBe(0);
    expect(samples.get(`${name}_count`)).toBe(3);
    expect(samples.get(`${name}_sum`)).toBeGreaterThan(0.05);
  });

  test("counts clients that left, and streams that failed", async () => {
    const app = appOf({
      engine: createToy({
        reply: "fail",
        onForward: (call) => {
          if (call > 30) throw new Error("broken");
        },
      }).engine,
    });
    const fields = { stream: true, max_tokens: 200, ignore_eos: true };
    const reader = (await post(app, COMPLETIONS, completion(fields))).body!.getReader();
    await reader.read();
    await reader.cancel();
    await (await post(app, COMPLETIONS, completion(fields))).text();
    const samples = await scrape(app);
    expect(samples.get("pronk_generations_aborted_total")).toBe(1);
    expect(samples.get("pronk_streams_failed_total")).toBe(1);
    expect(samples.get("pronk_requests_in_flight")).toBe(1);
  });

  test("counts what each key takes, by its name", async () => {
    const app = appOf({ auth: { keys: [{ key: "secret", name: "app" }] } });
    const headers = { "x-api-key": "secret" };
    await post(app, COMPLETIONS, completion({ prompt: [1, 2, 3], max_tokens: 4 }), { headers });
    const response = await app.request("/metrics", { headers });
    const text = await response.text();
    const samples = parse(text);
    expect(text).not.toContain("secret");
    expect(samples.get('pronk_key_requests_total{key="app"}')).toBe(1);
    expect(samples.get('pronk_key_tokens_total{key="app"}')).toBe(7);
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  });

  test("is answered while there is no model", async () => {
    const app = appOf({ engine: () => undefined });
    expect((await scrape(app)).get("pronk_model_ready")).toBe(0);
  });

  test.each([
    ["key", 401],
    ["public", 200],
    ["off", 404],
  ] as const)("with metrics: %s and no key is a %i", async (metrics, status) => {
    const app = appOf({ metrics, auth: { keys: ["k"] } });
    expect((await app.request("/metrics")).status).toBe(status);
  });
});
