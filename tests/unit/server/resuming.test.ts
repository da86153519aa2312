import { describe, expect, test } from "vitest";
import { createApp } from "../../../src/server/app.ts";
import { decodeResume, encodeResume } from "../../../src/server/resume-token.ts";
import {
  type App,
  CHAT,
  COMPLETIONS,
  chat,
  completion,
  events,
  type Json,
  post,
  postJson,
} from "./client.ts";
import { createToy, type ToyOptions } from "./toy-engine.ts";

let ids = 0;
const appOf = (options: ToyOptions = {}): App =>
  createApp({
    engine: createToy(options).engine,
    randomId: () => `id${ids++}`,
    clock: { now: () => 0, wall: () => 1_700_000_000_000 + ids * 5000 },
  });

interface Event {
  readonly id: string;
  readonly data: string;
}

async function stream(app: App, path: string, body: unknown, lastId?: string): Promise<Event[]> {
  const headers: Record<string, string> = lastId === undefined ? {} : { "last-event-id": lastId };
  const response = await post(app, path, body, { headers });
  expect(response.status).toBe(200);
  return (await events(response)).map((event) => {
    const [, id = "", data = ""] = /^id: (\S+)\ndata: (.*)$/s.exec(event) ?? [];
    return { id, data };
  });
}

/** What a run of its own knows of caches is not part of the answer. */
const said = (all: readonly Event[]): string[] =>
  all.map(({ data }) =>
    data.replace(/,"timings":\{[^}]*\}/, "").replace(/"cached_tokens":\d+/, ""),
  );

const bodies: [string, string, Json][] = [
  ["chat, greedy", CHAT, chat({})],
  ["chat, without a seed", CHAT, chat({ temperature: 1, max_tokens: 20 })],
  [
    "chat, seed and usage",
    CHAT,
    chat({ temperature: 1, seed: 4, stream_options: { include_usage: true } }),
  ],
  ["chat, log-probabilities", CHAT, chat({ logprobs: true, top_logprobs: 2, max_tokens: 12 })],
  ["chat, token ids", CHAT, chat({ return_token_ids: true, max_tokens: 12 })],
  ["chat, a stop text", CHAT, chat({ stop: ["days in"] })],
  [
    "completions",
    COMPLETIONS,
    completion({ max_tokens: 12, stream_options: { include_usage: true } }),
  ],
];

describe.each(bodies)("a stream of %s", (_, path, body) => {
  test.each([false, true])(
    "goes on after every event as it would have, random: %s",
    async (random) => {
      const request = {
        ...body,
        ...(random && { ignore_eos: true, max_tokens: 12 }),
        stream: true,
        resume: true,
      };
      const options = { random };
      const whole = await stream(appOf(options), path, request);
      expect(whole.length).toBeGreaterThan(2);
      expect(whole.at(-1)?.data).toBe("[DONE]");
      for (const [cut, { id }] of whole.entries()) {
        // Another process, that knows nothing of the first.
        const rest = await stream(appOf(options), path, request, id);
        expect(said(rest).slice(0, -1)).toEqual(said(whole).slice(cut + 1, -1));
        expect(rest.at(-1)?.data).toBe("[DONE]");
      }
      const [first] = whole;
      const byBody = await stream(appOf(options), path, { ...request, resume: first?.id });
      expect(said(byBody)).toEqual(said(whole).slice(1));
    },
  );
});

describe("several choices", () => {
  test("go on, each from where it was", async () => {
    const request = chat({
      n: 3,
      temperature: 1,
      seed: 3,
      max_tokens: 8,
      ignore_eos: true,
      stream: true,
      resume: true,
    });
    const ofChoices = (all: readonly string[]): string[] =>
      [...all].sort(
        (a, b) => Number(/"index":(\d)/.exec(a)?.[1]) - Number(/"index":(\d)/.exec(b)?.[1]),
      );
    const whole = await stream(appOf({ random: true }), CHAT, request);
    for (const [cut, { id }] of whole.slice(0, -1).entries()) {
      const rest = await stream(appOf({ random: true }), CHAT, request, id);
      expect(ofChoices(said(rest))).toEqual(ofChoices(said(whole).slice(cut + 1)));
    }
  });
});

describe("what is not asked for", () => {
  test("is not sent: events have no ids", async () => {
    const text = await (await post(appOf(), CHAT, chat({ stream: true }))).text();
    expect(text).not.toMatch(/^id:/m);
  });
});

describe("a token", () => {
  const request = chat({ stream: true, resume: true });
  const refusal = async (app: App, body: unknown): Promise<Json> => {
    const { status, json } = await postJson(app, CHAT, body);
    return { status, param: json.error?.param };
  };

  test("of another request, or that is none, is refused", async () => {
    const app = appOf();
    const [event] = await stream(app, CHAT, request);
    const token = event?.id ?? "";
    const refused = { status: 400, param: "resume" };
    expect(await refusal(app, { ...request, seed: 3, resume: token })).toEqual(refused);
    for (const text of [
      "",
      "x",
      "!",
      "AQ",
      token.slice(0, -3),
      `${token}AAAA`,
      "A".repeat(20_000),
    ]) {
      expect(await refusal(app, { ...request, resume: text })).toEqual(refused);
    }
  });

  test("holds what was put into it", () => {
    const state = {
      ...{ hash: "0123456789abcdef0123456789abcdef", id: "chatcmpl-é", created: 1_700_000_000 },
      ...{ seed: 2 ** 32 - 1, delivered: [0, 300, 7], outputs: [[1, 128, 49_151], []] },
    };
    expect(decodeResume(encodeResume(state))).toEqual(state);
  });

  test("carries so many tokens at most; the others are generated again", () => {
    const state = { hash: "00".repeat(16), id: "a", created: 1, seed: 1, delivered: [0, 5000] };
    const token = encodeResume({ ...state, outputs: [new Array<number>(5000).fill(100_000)] });
    expect(token.length).toBeLessThan(9000);
    expect(decodeResume(token).outputs[0]).toHaveLength(2048);
  });
});

describe("a request that the server computes no longer", () => {
  const body = chat({ temperature: 0, ignore_eos: true, max_tokens: 30, n: 2 });
  const bounded = (workMs: number): App =>
    createApp({ engine: createToy({ random: true }).engine, limits: { workMs } });

  test("ends with length and a token, all its choices together, and goes on with it", async () => {
    const { json: whole } = await postJson(appOf({ random: true }), CHAT, body);
    const { json: part } = await postJson(bounded(400), CHAT, body);
    expect(part.choices.map((one: Json) => one.finish_reason)).toEqual(["length", "length"]);
    const texts = (json: Json): string[] => json.choices.map((one: Json) => one.message.content);
    expect(texts(part).join("").length).toBeGreaterThan(0);
    for (const [i, text] of texts(part).entries()) {
      expect(text.length).toBeLessThan(texts(whole)[i]!.length);
      expect(texts(whole)[i]!.startsWith(text)).toBe(true);
    }
    const { json: rest } = await postJson(bounded(1e6), CHAT, { ...body, resume: part.resume });
    expect(texts(rest)).toEqual(texts(whole));
    expect(rest.resume).toBeUndefined();
  });

  test("is refused where it has no part to give", async () => {
    const input = Array.from({ length: 50 }, () => "a b c");
    const { status, json } = await postJson(bounded(20), "/v1/embeddings", {
      model: body.model,
      input,
    });
    expect(status).toBe(400);
    expect(json.error.message).toContain("0.02 s that this server computes for one request");
  });
});

describe("a request whose time is over", () => {
  const slow: ToyOptions = {
    random: true,
    onForward: () => new Promise((resolve) => setTimeout(resolve, 10)),
  };

  test("ends with length and a token, and goes on with it", async () => {
    const body = chat({ temperature: 1, seed: 3, ignore_eos: true, max_tokens: 30 });
    const { json: whole } = await postJson(appOf({ random: true }), CHAT, body);
    const limited = { ...body, max_time: 0.15 };
    const { json: part } = await postJson(appOf(slow), CHAT, limited);
    expect(part.choices[0].finish_reason).toBe("length");
    const text = part.choices[0].message.content;
    expect(text.length).toBeLessThan(whole.choices[0].message.content.length);
    expect(whole.choices[0].message.content.startsWith(text)).toBe(true);
    const goOn = { ...body, resume: part.resume };
    const { json: rest } = await postJson(appOf({ random: true }), CHAT, goOn);
    expect(rest.choices).toEqual(whole.choices);
    expect(rest.id).toBe(part.id);
    expect(rest.resume).toBeUndefined();
  });

  test("streams the rest from there", async () => {
    const body = chat({
      temperature: 1,
      seed: 3,
      ignore_eos: true,
      max_tokens: 30,
      stream: true,
      resume: true,
    });
    const whole = said(await stream(appOf({ random: true }), CHAT, body));
    let parts: string[] = [];
    let resume: Json = true;
    let rounds = 0;
    for (; resume !== undefined && rounds < 50; rounds++) {
      const events = await stream(appOf(slow), CHAT, {
        ...body,
        resume,
        max_time: 0.15,
      });
      const last = JSON.parse(events.at(-2)?.data ?? "{}");
      resume = last.resume;
      parts = [...parts, ...said(events).slice(0, resume === undefined ? undefined : -2)];
    }
    expect(rounds).toBeGreaterThan(1);
    const headless = (all: readonly string[]): string[] =>
      all.map((one) =>
        one.replace(/"id":"[^"]*","object":"([^"]*)","created":\d+/, "").replace(/^\{[^[]*/, ""),
      );
    expect(headless(parts)).toEqual(headless(whole));
  });
});
