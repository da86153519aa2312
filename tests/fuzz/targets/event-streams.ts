/**
 * Streams of answers as their readers get them, cut anywhere: the page's reader of events, the front's relay, and the
 * reader of a service binding's lines. Wherever a stream is cut, the same comes of it.
 */
import { PronkError } from "../../../src/errors.ts";
import { readParts } from "../../../src/platform/cloudflare/llm-wire.ts";
import { readEvents } from "../../../src/playground/server/read-events.ts";
import { relay } from "../../../src/server/front/relay.ts";
import { streamForm } from "../../../src/server/front/stream-forms.ts";
import { readJson } from "../json-layout.ts";
import { type Layout, layoutOf } from "../layout.ts";
import { Random } from "../random.ts";
import type { FuzzTarget, Probe } from "../target.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const chunk = (fields: object): string =>
  JSON.stringify({ id: "a", object: "chat.completion.chunk", choices: [], ...fields });
const delta = (content: string): string =>
  chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });

const CHAT = [delta("Hé"), delta("llo\n😀"), chunk({ usage: { total_tokens: 3 } })]
  .map((data) => `data: ${data}\n\n`)
  .join("");
const STREAMS = [
  `${CHAT}data: [DONE]\n\n`,
  `: ping\n\n${CHAT}data: {"error":{"message":"full","code":"engine_failed"}}\n\n`,
  `\ufeff${CHAT.replaceAll("\n", "\r\n")}data: [DONE]\r\n\r\n`,
  `${CHAT.replaceAll("\n", "\r")}data: [DONE]\r\r`,
  'event: message_start\ndata: {"type":"message_start"}\n\nevent: ping\ndata: {"type":"ping"}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
  'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\ndata: [DONE]\n\n',
  'data: {"a":\ndata: [1,\ndata: 2]}\nid: 7\nretry: 5\n\ndata: [DONE]\n\n',
  '{"text":"a"}\n{"text":"","answer":{"text":"a"}}\n',
  '{"model":"m","done":false}\n{"model":"m","done":true}\n',
];
const seeds = STREAMS.map((text) => encoder.encode(text));

const PATHS = [
  ["/v1/chat/completions", "text/event-stream"],
  ["/v1/messages", "text/event-stream; charset=utf-8"],
  ["/v1/responses", "text/event-stream"],
  ["/api/chat", "application/x-ndjson"],
] as const;

/** Lines as sections, and the JSON in them. */
function layout(input: Uint8Array): Layout {
  return layoutOf(input, (reader) => {
    while (reader.at < input.length) {
      const start = reader.at;
      let end = start;
      while (end < input.length && input[end] !== 0x0a && input[end] !== 0x0d) end++;
      const line = decoder.decode(input.subarray(start, end));
      const json = line.indexOf("{");
      if (json >= 0 && /^[ -~]*$/.test(line.slice(0, json))) {
        const inner = layoutOf(input.subarray(start + json, end), (inside) => readJson(inside));
        reader.layout.add(inner, start + json);
        reader.layout.field("text", start, start + json);
      } else reader.layout.field("text", start, end);
      while (end < input.length && (input[end] === 0x0a || input[end] === 0x0d)) end++;
      reader.layout.section("line", start, end);
      reader.at = end;
    }
  });
}

/** Line ends, byte order marks, comments, and lines that take long. */
function editLines(input: Uint8Array, random: Random): Uint8Array {
  const text = decoder.decode(input);
  const ends = [...text.matchAll(/\r\n|\n|\r/g)];
  if (ends.length === 0) return input;
  const { index, 0: old } = random.pick(ends);
  const put = (what: string): Uint8Array =>
    encoder.encode(text.slice(0, index) + what + text.slice(index + old.length));
  return random.pick<() => Uint8Array>([
    () =>
      put(random.pick(["\r\n", "\n", "\r", "\n\r", "\r\r\n", "", "\u2028", "\n\n", "\r\n\r\n"])),
    () =>
      put(
        `${old}${random.pick([": ping", "data", "data:", "data: ", " data: x", "event: error", "\ufeff", "\0", "id: \0"])}${old}`,
      ),
    () =>
      put(`${old}data: ${JSON.stringify("x".repeat(random.pick([10, 500, 2000])))}${old}${old}`),
    () => encoder.encode(text.replaceAll(/\r\n|\n|\r/g, random.pick(["\r\n", "\n", "\r"]))),
    () => encoder.encode(text.slice(0, index)),
    () => put(`${old}data: [DONE]${old}${old}`),
    () =>
      put(
        `${old}data: ${random.pick(["null", "5", '"a"', "{", "[]", '{"error":5}', '{"error":{"code":"__proto__"}}'])}${old}${old}`,
      ),
  ])();
}

type Cut = (bytes: Uint8Array, random: Random) => Uint8Array[];

const whole: Cut = (bytes) => [bytes];
/** Only the first: each piece takes as long as a whole stream. */
const BYTES = 300;
const bytewise: Cut = (bytes) => [
  ...Array.from(bytes.subarray(0, BYTES), (byte) => Uint8Array.of(byte)),
  bytes.slice(BYTES),
];
const anywhere: Cut = (bytes, random) => {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + random.pick([0, 1, 2, 3, 7, 40, 400]));
    pieces.push(bytes.slice(at, end));
    at = end;
  }
  return pieces;
};

function streamOf(pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      const piece = pieces[next++];
      if (piece) controller.enqueue(piece);
      else controller.close();
    },
  });
}

/** What comes of a reader, as text: its values, and how it ends. */
async function told(values: AsyncIterable<unknown>): Promise<string> {
  const all: string[] = [];
  try {
    for await (const value of values) all.push(JSON.stringify(value));
    all.push("end");
  } catch (error) {
    if (!(error instanceof PronkError)) throw error;
    if (typeof error.code !== "string") throw new Error(`a code of type ${typeof error.code}`);
    all.push(`${error.code}: ${error.message}`);
  }
  return all.join("\n");
}

/** Of events, by the words of the standard alone. */
function expected(bytes: Uint8Array): string {
  const all: string[] = [];
  let data: string[] = [];
  const lines = decoder.decode(bytes).split(/\r\n|\n|\r/);
  for (const line of lines.slice(0, -1)) {
    if (line !== "") {
      const [, name, value = ""] = /^([^:]*)(?::(?: )?([\s\S]*))?$/.exec(line) ?? [];
      if (name === "data") data.push(value);
      continue;
    }
    const event = data.join("\n");
    data = [];
    if (event === "") continue;
    if (event === "[DONE]") return [...all, "end"].join("\n");
    try {
      const value = JSON.parse(event);
      if (value.error) return [...all, "error"].join("\n");
      all.push(JSON.stringify(value));
    } catch {
      return [...all, "error"].join("\n");
    }
  }
  return [...all, "end"].join("\n");
}

async function relayed(
  pieces: readonly Uint8Array[],
  [path, type]: (typeof PATHS)[number],
): Promise<string> {
  const form = streamForm(path, type);
  if (!form) throw new Error(`${path} has no form`);
  let ends = 0;
  const passed = relay(streamOf(pieces), {
    form,
    idleMs: 1000,
    after: () => () => {},
    onEnd: () => void ends++,
    abort: () => {},
  });
  const text = await new Response(passed).text();
  if (ends !== 1) throw new Error(`${ends} ends are told`);
  if (text !== "" && !text.endsWith("\n".repeat(form.feeds)))
    throw new Error(`it ends within an event: ${text.slice(-80)}`);
  // A line feed more between events may be passed on or not.
  return text.replaceAll(/\n{3,}/g, "\n\n");
}

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  const random = new Random(
    input.length,
    input.reduce((sum, byte) => (Math.imul(sum, 31) + byte) | 0, 7),
  );
  const cuts = [whole, bytewise, anywhere].map((cut) => cut(input, random));
  const { signal } = new AbortController();
  const all = async (
    what: string,
    of: (pieces: readonly Uint8Array[]) => Promise<string>,
  ): Promise<string> => {
    const [first = "", ...rest] = await Promise.all(cuts.map(of));
    for (const other of rest)
      if (other !== first)
        throw new Error(`${what}: cut elsewhere ${other.slice(-200)}, not ${first.slice(-200)}`);
    return first;
  };
  const events = await all("events", (pieces) =>
    told(readEvents(new Response(streamOf(pieces)), signal)),
  );
  const wanted = expected(input);
  const isSame = wanted.endsWith("error")
    ? events.startsWith(wanted.slice(0, -5)) && !events.endsWith("\nend")
    : events === wanted;
  if (!isSame) throw new Error(`events: ${events.slice(-200)}, not ${wanted.slice(-200)}`);
  probe.saw(`${events.split("\n").length} events, ${events.split("\n").at(-1)}`);
  const lines = await all("lines", (pieces) => told(readParts(streamOf(pieces), undefined)));
  probe.saw(`lines ${lines.split("\n").at(-1)}`);
  const form = PATHS[random.below(PATHS.length)]!;
  const passed = await all(`relay ${form[0]}`, (pieces) => relayed(pieces, form));
  probe.saw(`relay ${form[0]} ${passed.split("\n").length}`);
  if (events.includes("\n") || lines.includes("\n")) probe.pastHeader();
}

export const target: FuzzTarget = {
  seeds: () => seeds,
  layout,
  words: [
    "data: ",
    "data",
    "event: ",
    ": ",
    "[DONE]",
    "error",
    "message_stop",
    "done",
    "id",
    "retry",
  ],
  edits: [editLines],
  maxBytes: 3 * 1024,
  run,
  planted: {
    name: "a line feed behind a carriage return that was the last of its piece is a line of its own",
    file: "src/playground/server/event-data.ts",
    find: 'this.#afterReturn && piece.startsWith("\\n") ? 1 : 0',
    replace: "0",
  },
};
