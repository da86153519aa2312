/** What storage does wrong, each as one spoiled answer of a FaultProxy. */
import { gzipSync } from "node:zlib";
import type { Answer, Fault, Line } from "./fault-proxy.ts";

/** Longer than any timeout of the tests, shorter than a test. */
const FOREVER_MS = 20_000;

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** The length is that of the body; everything else as it came. */
function withBody(answer: Answer, body: Uint8Array): Answer {
  return {
    ...answer,
    body,
    headers: { ...answer.headers, "content-length": String(body.length) },
  };
}

const without = (answer: Answer, name: string): Answer => {
  const { [name]: _, ...headers } = answer.headers;
  return { ...answer, headers };
};

const half = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length >> 1);

/** The answer's head and a part of its body; then what `then` does. */
async function begin(line: Line, bytes: (body: Uint8Array) => Uint8Array): Promise<Answer> {
  const answer = await line.ask();
  line.response.writeHead(answer.status, answer.headers);
  line.response.flushHeaders();
  const part = bytes(answer.body);
  if (part.length > 0) {
    await new Promise<void>((resolve) => line.response.write(part, () => resolve()));
  }
  return answer;
}

const pause = (ms: number, line: Line): Promise<void> =>
  Promise.race([line.gone, new Promise<void>((resolve) => setTimeout(resolve, ms).unref())]);

function reset(line: Line): void {
  (line.response.socket as { resetAndDestroy?(): void } | null)?.resetAndDestroy?.();
}

/** So that what was written leaves before the connection breaks. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

const status =
  (code: number, headers: Record<string, string> = {}, body = "no"): Fault =>
  (line) =>
    line.send({ status: code, headers, body: text(body) });

const s3Error = (code: string, message: string, more = ""): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message>${more}<RequestId>1</RequestId></Error>`;

/** As the store itself refuses. */
export const s3Refusal = (code: number, name: string): Answer => ({
  status: code,
  headers: { "content-type": "application/xml" },
  body: text(s3Error(name, "refused")),
});

/** bytes=a-b as [a, b]. */
function asked(line: Line): readonly [number, number] {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(line.headers.range ?? "") ?? [];
  return [Number(first ?? 0), Number(last || 0)];
}

/** The range that was asked, moved and stretched, with a Content-Range that says so. */
const otherRange =
  (start: number, more: number): Fault =>
  async (line) => {
    const [first, last] = asked(line);
    const from = Math.max(0, first + start);
    const range = `bytes=${from}-${Math.max(from, last + start + more)}`;
    line.send(await line.ask({ range }));
  };

const drip =
  (bytes: number, everyMs: number): Fault =>
  async (line) => {
    const answer = await begin(line, () => new Uint8Array(0));
    for (let at = 0; at < answer.body.length && !line.response.destroyed; at += bytes) {
      line.response.write(answer.body.subarray(at, at + bytes));
      await pause(everyMs, line);
    }
    line.response.end();
  };

let versions = 0;

/** Every fault of the list, by name; each spoils one answer. */
export const STORAGE_FAULTS: Readonly<Record<string, Fault>> = {
  "reset before anything": (line) => reset(line),
  "reset after the headers": async (line) => {
    await begin(line, () => new Uint8Array(0));
    await settle();
    reset(line);
  },
  "reset in the middle of the body": async (line) => {
    await begin(line, half);
    await settle();
    reset(line);
  },
  "reset after one byte": async (line) => {
    await begin(line, (body) => body.subarray(0, 1));
    await settle();
    reset(line);
  },
  "closed before anything": (line) => void line.response.socket?.end(),
  "no answer, for ever": (line) => pause(FOREVER_MS, line),
  "a body that stands still for ever": async (line) => {
    await begin(line, half);
    await pause(FOREVER_MS, line);
  },
  "a body that stands still, then goes on": async (line) => {
    const answer = await begin(line, half);
    await pause(60, line);
    line.response.end(answer.body.subarray(answer.body.length >> 1));
  },
  "an answer that takes its time": async (line) => {
    const answer = await line.ask();
    await pause(60, line);
    line.send(answer);
  },
  "cut off, the whole length announced": async (line) => {
    await begin(line, half);
    await settle();
    line.response.socket?.end();
  },
  "cut off, the cut length announced": async (line) => {
    const answer = await line.ask();
    line.send(withBody(answer, half(answer.body)));
  },
  "cut off, no length announced": async (line) => {
    const answer = without(await line.ask(), "content-length");
    line.send({ ...answer, body: half(answer.body) });
  },
  "a byte too many": async (line) => {
    const answer = await line.ask();
    line.send(withBody(answer, new Uint8Array([...answer.body, 0])));
  },
  "a range that is shifted": otherRange(1, 0),
  "a range that is shorter": otherRange(0, -1),
  "a range that is longer": otherRange(0, 7),
  "a range that is not the one it says": async (line) => {
    const [first, last] = asked(line);
    const right = await line.ask();
    const wrong = await line.ask({ range: `bytes=${first + 1}-${last + 1}` });
    const body = new Uint8Array(right.body.length);
    body.set(wrong.body.subarray(0, body.length));
    line.send({ ...right, body });
  },
  "a malformed range": async (line) => {
    const answer = await line.ask();
    line.send({ ...answer, headers: { ...answer.headers, "content-range": "bytes 7-" } });
  },
  "206 without a range": async (line) => line.send(without(await line.ask(), "content-range")),
  "a total of another size": async (line) => {
    const answer = await line.ask();
    const range = (answer.headers["content-range"] ?? "").replace(/\d+$/, "12345678");
    line.send({ ...answer, headers: { ...answer.headers, "content-range": range } });
  },
  "200 with everything": async (line) => line.send(await line.ask({ range: undefined })),
  "200 with the range alone": async (line) =>
    line.send({ ...without(await line.ask(), "content-range"), status: 200 }),
  "206 with everything, said so": async (line) => {
    const answer = await line.ask({ range: undefined });
    const { length } = answer.body;
    const range = `bytes 0-${length - 1}/${length}`;
    line.send({ ...answer, status: 206, headers: { ...answer.headers, "content-range": range } });
  },
  416: status(416, { "content-range": "bytes */1" }),
  "429 with seconds": status(429, { "retry-after": "0" }),
  "429 with a date": (line) =>
    status(429, {
      date: "Wed, 21 Oct 2015 07:28:00 GMT",
      "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT",
    })(line),
  "429 with a date long gone": status(429, { "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" }),
  "503 with a negative wait": status(503, { "retry-after": "-5" }),
  "503 with nonsense": status(503, { "retry-after": "1e999, soon" }),
  "503 SlowDown": status(503, {}, s3Error("SlowDown", "Please reduce your request rate.")),
  "500 InternalError": status(500, {}, s3Error("InternalError", "We encountered an error.")),
  502: status(502, { "content-type": "text/html" }, "<html>bad gateway</html>"),
  504: status(504),
  "another ETag": async (line) => {
    const answer = await line.ask();
    line.send({ ...answer, headers: { ...answer.headers, etag: `"v${versions++}"` } });
  },
  "no ETag": async (line) => line.send(without(without(await line.ask(), "etag"), "last-modified")),
  "a slow drip": drip(4096, 1),
  "a drip too slow to wait for": drip(1, 40),
  "a flipped bit": async (line) => {
    const answer = await line.ask();
    const body = answer.body.slice();
    if (body.length > 0) body[(line.index * 7919) % body.length]! ^= 1 << (line.index & 7);
    line.send({ ...answer, body });
  },
  "other bytes": async (line) => {
    const answer = await line.ask();
    line.send({ ...answer, body: answer.body.map((byte) => byte ^ 0xa5) });
  },
  "403 ExpiredToken": status(
    403,
    { "content-type": "application/xml" },
    s3Error("ExpiredToken", "The provided token has expired.", "<Token-0>SECRET-TOKEN</Token-0>"),
  ),
  "403 AccessDenied, expired": status(
    403,
    { "content-type": "application/xml" },
    s3Error("AccessDenied", "Request has expired"),
  ),
  "403 without a word": status(403),
  "redirected in a circle": (line) =>
    line.send({ status: 302, headers: { location: line.path }, body: text("") }),
  "redirected to nowhere": status(307, { location: "http://[nowhere" }),
  "redirected without a place": status(302),
  "a page instead of data": status(
    200,
    { "content-type": "text/html" },
    "<!doctype html><title>Sign in</title>",
  ),
  "a page instead of data, no length": (line) => {
    line.response.writeHead(200, { "content-type": "text/html" });
    line.response.write("<!doctype html>");
    line.response.end("<title>Sign in</title>");
  },
  "compressed, and said so": async (line) => {
    const answer = await line.ask();
    const body = new Uint8Array(gzipSync(answer.body));
    const packed = withBody(answer, body);
    line.send({ ...packed, headers: { ...packed.headers, "content-encoding": "gzip" } });
  },
  "said to be compressed, and is not": async (line) => {
    const answer = await line.ask();
    line.send({ ...answer, headers: { ...answer.headers, "content-encoding": "gzip" } });
  },
  "an empty body": async (line) => line.send(withBody(await line.ask(), new Uint8Array(0))),
  204: (line) => void line.response.writeHead(204).end(),
  "nonsense instead of HTTP": (line) => void line.response.socket?.end("220 ready\r\n\r\n"),
};
