/**
 * Requests to every route of the server, in process, over the engine: whatever they hold, the answer is one that is
 * documented, no slot stays taken, nothing of another's request is in it, and the next one is answered as before.
 */
import { PronkError } from "../../../src/errors.ts";
import { createApp } from "../../../src/server/app.ts";
import { createToy } from "../../unit/server/toy-engine.ts";
import { schema } from "../grammar-writer.ts";
import {
  editJson,
  isRecord,
  jsonInput,
  readJsonInput,
  replaceBroken,
  valuesLayout,
} from "../json-input.ts";
import type { Random } from "../random.ts";
import { type FuzzRequest, REQUESTS } from "../request-seeds.ts";
import type { FuzzTarget, Probe } from "../target.ts";

/** Said in a conversation that none of the inputs is part of. */
const CANARY = "canary-7f3a9c";

const CHECK_EVERY = 32;

/** Waits for slots: turns of the event loop. */
const MAX_TURNS = 400;

const { engine } = createToy({
  ctx: 192,
  slots: 2,
  maxQueue: 8,
  openAdapter: async (place) => {
    throw new PronkError("not_found", `${place.slice(0, 20)}: no such file`);
  },
});
const failures: unknown[] = [];
const app = createApp({ engine, allowAdapterLoading: true, ping: false, metrics: "public" });
app.use(async (c, next) => {
  await next();
  if (c.error) failures.push(c.error);
});
let count = 0;

const seeds = REQUESTS.map((request) => jsonInput(request));

const isRequest = ({ path }: Record<string, unknown>): boolean =>
  typeof path === "string" && path.startsWith("/");

/** What no field expects. */
function oddValue(random: Random): unknown {
  return random.pick<() => unknown>([
    () => null,
    () => random.pick([-1, 0, 1, 2, 1.5, 127, 1e9, 2 ** 31, 2 ** 53, -(2 ** 63), 1e308, 1e-320]),
    () =>
      random.pick([
        "",
        "a",
        "\ud800",
        "\udc00x",
        "\u0000",
        "é\u2028",
        "__proto__",
        "<|eot_id|>",
        "null",
        "1",
      ]),
    () => random.pick(["a", "é", "😀", "\n", " a"]).repeat(random.pick([2, 200, 3000])),
    () => [],
    () => ({}),
    () =>
      Array.from({ length: random.pick([1, 2, 129, 3000]) }, () =>
        random.pick<unknown>([0, "a", null, {}, []]),
      ),
    () => random.chance(0.5),
    () => nested(random.pick([2, 50, 1000]), random),
    () => schema(random),
    () => ({
      [random.pick(["__proto__", "constructor", "type", "a", ""])]: random.pick<unknown>([
        1,
        "a",
        {},
      ]),
    }),
    () => [
      {
        type: random.pick(["text", "image_url", "input_text", "tool_use", "x"]),
        text: random.pick<unknown>(["a", 1]),
      },
    ],
  ])();
}

function nested(depth: number, random: Random): unknown {
  const isList = random.chance(0.5);
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = isList ? [value] : { a: value };
  return value;
}

const FIELDS = [
  ...[
    "temperature",
    "top_p",
    "top_k",
    "n",
    "stop",
    "max_tokens",
    "seed",
    "logprobs",
    "stream",
    "tools",
    "tool_choice",
  ],
  ...[
    "response_format",
    "grammar",
    "regex",
    "json_schema",
    "choice",
    "prefix",
    "lora",
    "echo",
    "suffix",
    "model",
  ],
  ...[
    "messages",
    "prompt",
    "input",
    "format",
    "options",
    "think",
    "raw",
    "template",
    "context",
    "truncation",
  ],
  ...[
    "previous_response_id",
    "include",
    "reasoning",
    "prediction",
    "logit_bias",
    "min_tokens",
    "ignore_eos",
  ],
  ...[
    "chat_template_kwargs",
    "documents",
    "add_generation_prompt",
    "continue_final_message",
    "stream_options",
  ],
];

/** One value somewhere below, put in place, left out, doubled, or new. */
function editValue(value: unknown, random: Random, depth = 5): unknown {
  if (typeof value !== "object" || value === null || depth === 0 || random.chance(0.1)) {
    return typeof value === "string" && random.chance(0.3)
      ? value + random.pick(["\ud800", "\u0000", "<|eot_id|>", value])
      : oddValue(random);
  }
  if (Array.isArray(value)) {
    if (value.length === 0 || random.chance(0.1)) return [...value, oddValue(random)];
    const at = random.below(value.length);
    if (random.chance(0.15)) return [...value, ...Array(random.pick([1, 40])).fill(value[at])];
    if (random.chance(0.15)) return value.filter((_, i) => i !== at);
    return value.map((one, i) => (i === at ? editValue(one, random, depth - 1) : one));
  }
  const names = Object.keys(value);
  if (names.length === 0 || random.chance(0.2))
    return { ...value, [random.pick(FIELDS)]: oddValue(random) };
  const name = random.pick(names);
  const { [name]: old, ...rest } = value as Record<string, unknown>;
  if (random.chance(0.15)) return rest;
  return { ...value, [name]: editValue(old, random, depth - 1) };
}

const TYPES = [
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "",
  "application/json; charset=utf-16",
];

/** The request around its body. */
function editFrame(request: Record<string, unknown>, random: Random): void {
  const headers = isRecord(request.headers) ? request.headers : {};
  const body = JSON.stringify(request.body) ?? "";
  random.pick<() => unknown>([
    () =>
      (request.method = random.pick(["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "post"])),
    () =>
      (request.path =
        String(random.pick(REQUESTS).path) +
        random.pick(["", "/", "/..", "?a=b", "//", "%00", "/%zz", "/resp_1"])),
    () => (request.raw = body.slice(0, random.below(body.length + 1))),
    () => (request.raw = body.replace("{", `{"model":${random.pick(["1", '"x"', "null"])},`)),
    () =>
      (request.raw =
        random.pick(["\ufeff", "\u0000", "[", '"a"', "null", "NaN", "//"]) +
        random.pick(["", body])),
    () => (request.raw = "[".repeat(random.pick([100, 5000, 60_000]))),
    () => (request.headers = { ...headers, "content-type": random.pick(TYPES) }),
    () =>
      (request.headers = {
        ...headers,
        "content-length": random.pick(["0", "1", "99999999999", "-1", "x", "1e3"]),
      }),
    () => (request.headers = { ...headers, "content-encoding": random.pick(["gzip", "br", "x"]) }),
    () =>
      (request.headers = {
        ...headers,
        "x-request-id": random.pick(["", "a".repeat(5000), "é", "a b"]),
      }),
    () =>
      (request.headers = {
        ...headers,
        traceparent: random.pick(["x", "00-0-0-0", `00-${"a".repeat(32)}-${"b".repeat(16)}-01`]),
      }),
    () => (request.leaveAfter = random.below(4)),
  ])();
}

const edit = editJson((value, random: Random) => {
  if (value.body === undefined || random.chance(0.15)) editFrame(value, random);
  else value.body = editValue(value.body, random);
});

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  if (count++ % CHECK_EVERY === 0) await checkAnswers();
  const request = readJsonInput(input) as FuzzRequest | undefined;
  if (!request || !isRequest({ path: request.path }))
    throw new PronkError("bad_request", "input: no request");
  failures.length = 0;
  const sent = requestOf(within(request));
  if (sent === undefined) throw new PronkError("bad_request", "input: no request of HTTP");
  const response = await app.fetch(sent);
  const text = await read(response, request.leaveAfter);
  const { pathname } = new URL(sent.url);
  if (response.status !== 404 && response.status !== 405) probe.pastHeader();
  probe.saw(`${pathname.slice(0, 30)} ${response.status}`);
  for (const word of Object.keys(isRecord(request.body) ? request.body : {})) {
    if (FIELDS.includes(word)) probe.saw(`${pathname.slice(0, 20)} ${word} ${response.status}`);
  }
  const said = (what: string): Error =>
    new Error(`${sent.method} ${pathname}: ${what}: ${text.slice(0, 300)} ${failures.map(String)}`);
  if (response.status >= 500) throw said(`status ${response.status}`);
  if (text.includes(CANARY)) throw said("another conversation's words");
  if (/internal error|TypeError|\bat \S+\.ts:/.test(text)) throw said("the server's own affairs");
  if (request.leaveAfter === undefined && sent.method !== "HEAD") {
    if (response.status >= 400) checkError(pathname, text, said);
    else checkEnd(response, text, said);
  }
  await settle(said);
}

/** What /perplexity computes grows with its text, which may be a book: that it takes long says nothing. */
function within(request: FuzzRequest): FuzzRequest {
  const { path, body } = request;
  if (path !== "/perplexity" || !isRecord(body) || typeof body.prompt !== "string") return request;
  return { ...request, body: { ...body, prompt: body.prompt.slice(0, 500) } };
}

function requestOf({ method, path, headers, body, raw }: FuzzRequest): Request | undefined {
  const verb = typeof method === "string" ? method : "POST";
  const hasBody = verb !== "GET" && verb !== "HEAD";
  try {
    return new Request(new URL(path, "http://localhost"), {
      method: verb,
      headers: { "content-type": "application/json", ...headers },
      ...(hasBody && { body: typeof raw === "string" ? raw : (JSON.stringify(body) ?? "") }),
    });
  } catch {
    return undefined; // what no client can send
  }
}

async function read(response: Response, leaveAfter: unknown): Promise<string> {
  if (typeof leaveAfter !== "number") return response.text();
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let i = 0; reader && i < leaveAfter; i++) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  await reader?.cancel();
  return text;
}

type Said = (what: string) => Error;

function checkError(path: string, text: string, said: Said): void {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw said("an error that is no JSON");
  }
  const error = isRecord(value) ? value.error : undefined;
  const isText = (one: unknown): boolean =>
    typeof one === "string" && one.length > 0 && one.length < 4000;
  const isTextOrNull = (one: unknown): boolean => one === null || typeof one === "string";
  const isOllama = /^\/api(?:\/|$)/.test(path);
  if (
    isOllama ? !isText(error) : !isRecord(error) || !isText(error.message) || !isText(error.type)
  ) {
    throw said("an error of another form");
  }
  const isOpenAi = !isOllama && !path.startsWith("/v1/messages");
  if (
    isOpenAi &&
    !(
      isTextOrNull((error as Record<string, unknown>).param) &&
      isTextOrNull((error as Record<string, unknown>).code)
    )
  ) {
    throw said("an error without param or code");
  }
}

/** A stream ends with its last event, and no event says that the engine failed. */
function checkEnd(response: Response, text: string, said: Said): void {
  const type = response.headers.get("content-type") ?? "";
  if (/"code":"engine_failed"|"type":"server_error"|"type":"api_error"/.test(text))
    throw said("a stream that failed");
  if (type.startsWith("text/event-stream")) {
    if (!/(?:data: \[DONE\]|event: message_stop\ndata: .*)\n\n$/.test(text))
      throw said(`a stream without an end: ${text.slice(-200)}`);
  } else if (type.startsWith("application/x-ndjson")) {
    if (!/"done":true[^\n]*\n$|^\{"error"/m.test(text)) throw said("lines without an end");
  } else if (type.startsWith("application/json") && text !== "") JSON.parse(text);
}

async function settle(said: Said): Promise<void> {
  for (let turns = 0; ; turns++) {
    const { busy, queued } = engine.stats();
    if (busy === 0 && queued === 0) return;
    if (turns === MAX_TURNS) throw said(`${busy} slots taken, ${queued} waiting`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function checkAnswers(): Promise<void> {
  const ask = async (content: string): Promise<string> => {
    const body = JSON.stringify({
      model: "toy/llama",
      messages: [{ role: "user", content }],
      temperature: 0,
    });
    const response = await app.fetch(
      new Request("http://localhost/v1/chat/completions", { method: "POST", body }),
    );
    return (await response.json()).choices?.[0]?.message?.content;
  };
  await ask(CANARY);
  const answer = await ask("How many days are in a week?");
  if (answer !== "There are 7 days in a week.")
    throw new Error(`after ${count} requests the answer is ${answer}`);
}

export const target: FuzzTarget = {
  seeds: () => seeds,
  layout: (input) => valuesLayout(input, (text) => /^(?:"path":)?"\//.test(text)),
  words: ["stream", "true", "toy/llama", "user", "json_schema"],
  edits: [edit],
  finish: replaceBroken(seeds, isRequest, edit),
  run,
  planted: {
    name: "a body that is no JSON is not caught",
    file: "src/formats/bounded-json.ts",
    find: 'throw bad("is not JSON", cause);',
    replace: "throw cause;",
  },
};
