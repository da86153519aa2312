/**
 * Storage that fails: a real S3 server behind a proxy that spoils answers. Whatever one answer is, the load comes out
 * right, to the byte; what stays spoiled fails with a code, and names object, place and what was found.
 */
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from "vitest";
import { type ErrorCode, PronkError } from "../../src/errors.ts";
import { objectName } from "../../src/pack/shards.ts";
import { httpFolder, httpSource } from "../../src/sources/http.ts";
import { retrying } from "../../src/sources/retrying.ts";
import { type Fault, type Line, startFaultProxy } from "../support/fault-proxy.ts";
import { STORAGE_FAULTS, s3Refusal } from "../support/storage-faults.ts";
import { startFaultServer } from "../unit/sources/fault-server.ts";
import { seededNumbers } from "./seeded-numbers.ts";
import {
  CREDENTIALS,
  LIMIT_MS,
  once,
  type StorageBucket,
  scheduled,
  startStorageBucket,
} from "./storage-bucket.ts";
import { loadPack } from "./storage-load.ts";
import { type StoragePack, tinyPack } from "./storage-pack.ts";

let bucket: StorageBucket;
let pack: StoragePack;
let right: string;
beforeAll(async () => {
  [bucket, pack] = await Promise.all([startStorageBucket(), tinyPack()]);
  for (const [name, bytes] of pack.folder.objects) await bucket.put(`tiny/${name}`, bytes);
  right = (await loadPack(pack.folder)).digest!;
}, 60_000);
afterAll(() => bucket?.close());
beforeEach(() => {
  bucket.proxy.choose = () => undefined;
  bucket.proxy.requests.length = 0;
});

const load = () => loadPack(bucket.folder("tiny"));
const names = Object.keys(STORAGE_FAULTS);
const faults = Object.values(STORAGE_FAULTS);

const shardName = (): string => objectName(pack.manifest.shards[1]!);
const isShard = (line: Line): boolean => line.path.endsWith(shardName());

test("without faults the pack comes out of the bucket as it went in, with one request an object", async () => {
  expect(await load()).toEqual({ digest: right });
  expect(bucket.proxy.requests.length).toBe(1 + pack.folder.objects.size);
});

describe.each<[string, (line: Line) => boolean]>([
  ["the manifest, opened", ({ path }) => path.endsWith("manifest.json")],
  [
    "the manifest, read",
    ({ path, headers }) => path.endsWith("manifest.json") && headers.range !== "bytes=0-0",
  ],
  ["a shard", isShard],
  ["the tokenizer", ({ path }) => path.endsWith(objectName(pack.manifest.tokenizer!))],
])("one spoiled answer for %s is survived", (_, isMeant) => {
  test.each(names)("%s", async (name) => {
    const met = once(bucket.proxy, STORAGE_FAULTS[name]!, isMeant);
    expect(await load()).toEqual({ digest: right });
    expect(met()).toBe(true);
  });
});

/** Faults under which every try brings the right bytes all the same. */
const HARMLESS = [
  "a body that stands still, then goes on",
  "an answer that takes its time",
  "a byte too many",
  "a range that is longer",
  "200 with everything",
  "200 with the range alone",
  "206 with everything, said so",
  "another ETag",
  "no ETag",
  "a slow drip",
];

/** Those that deliver something else than what the hash says. */
const CORRUPT = [
  "416",
  "a range that is not the one it says",
  "a total of another size",
  "a flipped bit",
  "other bytes",
];

describe("a shard whose answers all are spoiled is refused, and named with what was found", () => {
  const found: Readonly<Record<string, RegExp>> = {
    "reset before anything": /ECONNRESET|socket hang up|other side closed/,
    "no answer, for ever": /no answer for 0\.5 s/,
    "a body that stands still for ever": /only \d+ bytes in 0\.5 s|no data for/,
    "a drip too slow to wait for": /only \d+ bytes in 0\.5 s/,
    "cut off, the cut length announced": /the body ended after \d+ of \d+ bytes/,
    "a range that is shifted": /asked for bytes \[0, \d+\), got \[1, \d+\)/,
    "a malformed range": /HTTP 206 with content-range bytes 7-/,
    "503 SlowDown": /HTTP 503 SlowDown \(5 tries\)/,
    "403 ExpiredToken": /HTTP 403 ExpiredToken/,
    "403 AccessDenied, expired": /HTTP 403 AccessDenied/,
    "redirected in a circle": /more than 5 redirects/,
    "compressed, and said so": /sent compressed \(gzip\)/,
    "a page instead of data": /the body ended after \d+ of \d+ bytes, of type text\/html/,
    "a flipped bit": /SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}/,
  };
  test.each(names)("%s", async (name) => {
    bucket.proxy.choose = (line) => (isShard(line) ? STORAGE_FAULTS[name] : undefined);
    const loaded = await load();
    if (HARMLESS.includes(name)) return expect(loaded).toEqual({ digest: right });
    const code: ErrorCode = CORRUPT.includes(name) ? "corrupt" : "source_failed";
    expect(loaded.error?.code, JSON.stringify(loaded)).toBe(code);
    const { message } = loaded.error!;
    expect(message).toContain("s3://faults/tiny: shard 2 of ");
    expect(message).toContain(`${bucket.proxy.url}/faults/tiny/${shardName()}`);
    expect(message).toMatch(found[name] ?? /./);
    expect(message).not.toMatch(/secret|Signature|SECRET/);
    // The budget: 5 tries, a redirect each 6 requests, and all of it a second time at most.
    expect(
      bucket.proxy.requests.filter(({ path }) => path.endsWith(shardName())).length,
    ).toBeLessThanOrEqual(12);
  });
});

describe("a manifest whose answers all are spoiled is refused by name", () => {
  test.each<[string, string, RegExp]>([
    [
      "a flipped bit",
      "corrupt bad_format unsupported",
      /manifest\.json: .*, also when fetched again$/,
    ],
    ["a page instead of data", "source_failed bad_format", /manifest\.json: /],
    ["an empty body", "source_failed", /manifest\.json: /],
    ["403 ExpiredToken", "source_failed", /manifest\.json: HTTP 403 ExpiredToken, also when/],
    ["500 InternalError", "source_failed", /manifest\.json: HTTP 500 InternalError \(5 tries\)/],
    ["reset in the middle of the body", "source_failed", /manifest\.json: /],
    ["another ETag", "source_failed", /manifest\.json: was changed while it was read: ETag/],
    ["other bytes", "bad_format", /manifest\.json: /],
  ])("%s", async (name, codes, message) => {
    bucket.proxy.choose = ({ path }) =>
      path.endsWith("manifest.json") ? STORAGE_FAULTS[name] : undefined;
    const { error } = await load();
    expect(codes.split(" ")).toContain(error?.code);
    expect(error?.message).toMatch(message);
  });
});

/** Seeds, with one request of so many spoiled: the last are storage that hardly works. */
const SCHEDULES = Array.from({ length: 48 }, (_, seed) => [seed, [8, 5, 3, 2][seed % 4]!] as const);

describe("any faults at any requests: the right bytes or a failure that says which object, never others", () => {
  let survived = 0;
  test.each(SCHEDULES)("seed %d, one request of %d", async (seed, every) => {
    const met = scheduled(bucket.proxy, faults, seededNumbers(seed), every);
    const started = performance.now();
    const loaded = await load();
    expect(performance.now() - started).toBeLessThan(30_000);
    if (loaded.digest !== undefined) {
      survived++;
      return expect(loaded.digest).toBe(right);
    }
    expect(met()).toBeGreaterThan(1);
    expect(["source_failed", "corrupt", "bad_format", "unsupported"]).toContain(loaded.error?.code);
    expect(loaded.error?.message).toMatch(/faults\/tiny.*(?:manifest\.json|[0-9a-f]{64}\.bin): ./);
  });

  test("most of them are survived", () => {
    expect(survived).toBeGreaterThan(SCHEDULES.length / 2);
  });
});

describe("waits that servers ask for", () => {
  test.each([
    ["99999", /HTTP 429 Too Many Requests, asks to wait 99999 s/],
    ["9".repeat(400), /HTTP 429 Too Many Requests, asks to wait Infinity s/],
    ["Fri, 31 Dec 9999 23:59:59 GMT", /HTTP 429 Too Many Requests, asks to wait \d+ s/],
  ])("of %s are left to the caller, at once", async (wait, message) => {
    const refused: Fault = (line) =>
      line.send({ status: 429, headers: { "retry-after": wait }, body: new Uint8Array(0) });
    bucket.proxy.choose = (line) => (isShard(line) ? refused : undefined);
    const { error } = await load();
    expect(error).toMatchObject({ code: "source_failed", message: expect.stringMatching(message) });
  });

  test("of a second are waited, and no less", async () => {
    const refused: Fault = (line) =>
      line.send({ status: 503, headers: { "retry-after": "1" }, body: new Uint8Array(0) });
    once(bucket.proxy, refused, isShard);
    const started = performance.now();
    expect(await load()).toEqual({ digest: right });
    expect(performance.now() - started).toBeGreaterThanOrEqual(999);
  });
});

describe("an object that is replaced in the middle of a load", () => {
  test("by a pack of the same size: the whole old one or the whole new one, never both", async () => {
    const other = await tinyPack(2);
    const expected = (await loadPack(other.folder)).digest!;
    expect(expected).not.toBe(right);
    const publish = async ({ folder }: StoragePack): Promise<void> => {
      const last = [...folder.objects].sort(([a]) => (a === "manifest.json" ? 1 : -1));
      for (const [name, bytes] of last) await bucket.put(`replaced/${name}`, bytes);
    };
    const digests = new Set<string | undefined>();
    for (let at = 0; at < 8; at++) {
      await publish(pack);
      const begun = bucket.proxy.requests.length;
      bucket.proxy.choose = (line) =>
        line.index - begun !== at
          ? undefined
          : async (met) => {
              await publish(other);
              met.send(await met.ask());
            };
      const { digest, error } = await loadPack(bucket.folder("replaced"));
      expect(error).toBeUndefined();
      digests.add(digest);
    }
    expect(digests).toEqual(new Set([right, expected]));
  });

  test("a file without hashes, between two ranges, is refused", async () => {
    await bucket.put("one.gguf", new Uint8Array(50_000).fill(1));
    const source = retrying(await bucket.folder("").open("one.gguf"), { baseMs: 1 });
    await source.readInto(new Uint8Array(100), 0);
    await bucket.put("one.gguf", new Uint8Array(50_000).fill(2));
    await expect(source.readInto(new Uint8Array(100), 100)).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringMatching(
        /one\.gguf: was changed while it was read: ETag .* is now ETag/,
      ),
    });
  });

  test("a file without hashes, in the middle of a range that broke, is refused", async () => {
    await bucket.put("two.gguf", new Uint8Array(50_000).fill(1));
    const source = retrying(await bucket.folder("").open("two.gguf"), { baseMs: 1 });
    once(
      bucket.proxy,
      async (line) => {
        const answer = await line.ask();
        await bucket.put("two.gguf", new Uint8Array(50_000).fill(2));
        const headers = { ...answer.headers, "content-length": "20000" };
        line.send({ ...answer, headers, body: answer.body.subarray(0, 20_000) });
      },
      () => true,
    );
    await expect(source.readInto(new Uint8Array(50_000), 0)).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("was changed while it was read"),
    });
  });
});

describe("who asks", () => {
  test("is asked again when a session's token is refused: the load goes on with the new one", async () => {
    let given = 0;
    const keys = [{ ...CREDENTIALS, sessionToken: "over" }, CREDENTIALS];
    const credentials = () => keys[Math.min(given++, 1)]!;
    if (bucket.kind === "moto") {
      // It checks nothing of that: the proxy does.
      bucket.proxy.choose = ({ headers }) =>
        headers["x-amz-security-token"] === undefined
          ? undefined
          : (line) => line.send(s3Refusal(400, "ExpiredToken"));
    }
    expect(await loadPack(bucket.folder("tiny", { credentials }))).toEqual({ digest: right });
    expect(given).toBe(2);
  });

  test("has a clock that is an hour late: the load goes by the server's", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 3_600_000 });
    onTestFinished(() => void vi.useRealTimers());
    expect(await load()).toEqual({ digest: right });
    if (bucket.kind === "moto") return;
    expect(bucket.proxy.requests.length).toBe(2 + pack.folder.objects.size);
  });

  test("with a wrong secret is refused by name, and what it has is not shown", async () => {
    if (bucket.kind === "moto") return;
    const credentials = { ...CREDENTIALS, secretAccessKey: "wrong-secret" };
    const { error } = await loadPack(bucket.folder("tiny", { credentials }));
    expect(error).toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("manifest.json: HTTP 403 SignatureDoesNotMatch"),
    });
    expect(error?.message).not.toMatch(/wrong-secret|Signature=/);
  });

  test("stays unknown where storage redirects to", async () => {
    const elsewhere = await startFaultServer();
    onTestFinished(() => elsewhere.close());
    elsewhere.objects.set(shardName(), pack.folder.objects.get(shardName())!);
    const away: Fault = (line) =>
      line.send({
        status: 307,
        headers: { location: `${elsewhere.url}/${shardName()}` },
        body: new Uint8Array(0),
      });
    bucket.proxy.choose = (line) => (isShard(line) ? away : undefined);
    const credentials = { ...CREDENTIALS, sessionToken: "SESSION" };
    if (bucket.kind === "moto") {
      expect(await loadPack(bucket.folder("tiny", { credentials }))).toEqual({ digest: right });
    } else {
      // It knows no sessions.
      expect(await load()).toEqual({ digest: right });
    }
    expect(elsewhere.requests.length).toBeGreaterThan(0);
    for (const { headers } of elsewhere.requests) {
      expect(Object.keys(headers).join()).not.toMatch(/authorization|x-amz/);
    }
  });
});

describe("no way to the server", () => {
  const opened = (url: string) =>
    httpSource(url, { fetch, connectTimeoutMs: 2000 }).catch((error: unknown) => error);

  test("a name that nobody knows", async () => {
    const error = await opened("http://nobody.invalid/tiny/manifest.json");
    expect(error).toBeInstanceOf(PronkError);
    expect(error).toMatchObject({
      code: "source_failed",
      message: expect.stringMatching(
        /^http:\/\/nobody\.invalid\/tiny\/manifest\.json: .*(?:ENOTFOUND|EAI_AGAIN)/,
      ),
      retryAfterMs: 0,
    });
  });

  test("a port where nobody listens", async () => {
    const gone = await startFaultProxy(bucket.proxy.url);
    await gone.close();
    const { error } = await loadPack(bucket.folder("tiny", { endpoint: gone.url }));
    expect(error).toMatchObject({
      code: "source_failed",
      message: expect.stringMatching(/manifest\.json: .*ECONNREFUSED.*\(5 tries\)$/),
    });
  });

  test("http where https is meant, and https without a certificate", async () => {
    const plain = await opened(bucket.proxy.url.replace("http:", "https:"));
    expect(plain).toMatchObject({ code: "source_failed", retryAfterMs: 0 });
    const secure = createServer({}, (_, response) => response.end());
    await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void secure.close());
    const { port } = secure.address() as AddressInfo;
    const error = await opened(`https://127.0.0.1:${port}/a`);
    expect(error).toMatchObject({
      code: "source_failed",
      message: expect.stringMatching(/^https:\/\/127\.0\.0\.1:\d+\/a: ./),
    });
  });
});

describe("a plain HTTP server, one spoiled answer for a shard", () => {
  test.each(names)("%s", async (name) => {
    const server = await startFaultServer();
    onTestFinished(() => server.close());
    for (const [object, bytes] of pack.folder.objects) server.objects.set(`p/${object}`, bytes);
    const proxy = await startFaultProxy(server.url);
    onTestFinished(() => proxy.close());
    once(proxy, STORAGE_FAULTS[name]!, isShard);
    const limits = { connectTimeoutMs: LIMIT_MS, stallTimeoutMs: LIMIT_MS };
    const folder = httpFolder(`${proxy.url}/p?key=SECRET`, { fetch, ...limits });
    expect(await loadPack(folder)).toEqual({ digest: right });
  });
});
