/** S3's API as a server sees it: every request is signed, and busy servers are asked again. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { AwsV4Signer } from "aws4fetch";
import { afterAll, beforeEach, expect, test } from "vitest";
import { s3Bucket } from "../../../../src/cli/deploy/s3-bucket.ts";

const { signal } = new AbortController();
const keys = { accessKeyId: "key", secretAccessKey: "secret", region: "auto" };

/** Waits that were asked for, in ms. */
const waits: number[] = [];
const sleep = async (ms: number): Promise<void> => void waits.push(ms);

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

const seen: Seen[] = [];
let answers: { status: number; body?: string }[] = [];
const server: Server = createServer(async (request, response) => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  const { method = "", url: path = "", headers } = request;
  seen.push({ method, path, headers, body: Buffer.concat(parts) });
  const { status, body } = answers.shift() ?? { status: 200 };
  response.writeHead(status).end(body);
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
afterAll(() => void server.close());
beforeEach(() => {
  seen.length = 0;
  waits.length = 0;
  answers = [];
});
const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const bucket = s3Bucket({
  endpoint,
  bucket: "models",
  prefix: "a/small one",
  fetch,
  sleep,
  ...keys,
});

const bytes = new TextEncoder().encode("weights");
const sha256 = createHash("sha256").update(bytes).digest("hex");
const object = {
  key: `${sha256}.bin`,
  bytes,
  sha256,
  contentType: "application/octet-stream",
  immutable: true,
};

test("an object is put under its prefix, with its hash, signed", async () => {
  await bucket.write(object, signal);
  const [{ method, path, headers, body }] = seen;
  expect([method, path]).toEqual(["PUT", `/models/a/small%20one/${sha256}.bin`]);
  expect(body.toString()).toBe("weights");
  expect(headers).toMatchObject({
    "x-amz-content-sha256": sha256,
    "cache-control": "public, max-age=31536000, immutable",
    "content-type": "application/octet-stream",
  });
  const again = new AwsV4Signer({
    ...keys,
    method,
    url: `${endpoint}${path}`,
    service: "s3",
    datetime: String(headers["x-amz-date"]),
    headers: {
      "x-amz-content-sha256": sha256,
      "cache-control": String(headers["cache-control"]),
      "content-type": "application/octet-stream",
    },
  });
  expect(headers.authorization).toBe((await again.sign()).headers.get("authorization"));
});

test("a busy server is asked again", async () => {
  answers = [{ status: 503 }, { status: 200 }];
  await bucket.write(object, signal);
  expect(seen.map(({ body }) => body.toString())).toEqual(["weights", "weights"]);
});

test("a refusal says what the server said, and what to check", async () => {
  answers = [
    { status: 403, body: "<Error><Code>AccessDenied</Code><Message>No</Message></Error>" },
  ];
  await expect(bucket.write(object, signal)).rejects.toMatchObject({
    message: expect.stringMatching(/AccessDenied \(No\); check AWS_ACCESS_KEY_ID/),
  });
  expect(seen.length).toBe(1);
});

test("what is missing is not there, of another size is not whole", async () => {
  answers = [{ status: 404 }, { status: 200 }];
  expect(await bucket.has("x.bin", 7, signal)).toBe(false);
  expect(await bucket.has("x.bin", 7, signal)).toBe(false);
  answers = [{ status: 404 }];
  expect(await bucket.read("manifest.json", signal)).toBeUndefined();
});

test("a bucket that is missing is made", async () => {
  answers = [{ status: 404 }, { status: 200 }];
  await bucket.prepare(signal);
  expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "HEAD /models",
    "PUT /models",
  ]);
});

test("a server that cannot be reached is said after the last try, with how to go on", async () => {
  const gone = s3Bucket({
    endpoint: "http://127.0.0.1:1",
    bucket: "models",
    prefix: "a",
    fetch,
    sleep,
    ...keys,
  });
  await expect(gone.read("manifest.json", signal)).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringContaining("run it again to go on from there"),
  });
  expect(waits).toEqual([500, 1000, 2000, 4000]);
});
