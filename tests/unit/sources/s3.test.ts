import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { s3PackFolder } from "../../../src/platform/host/s3-model.ts";
import { type S3Options, s3Folder } from "../../../src/sources/s3.ts";
import { type FaultServer, startFaultServer } from "./fault-server.ts";
import { sampleBytes, testFolder, testSource } from "./source-conformance.ts";

let server: FaultServer;
beforeAll(async () => {
  server = await startFaultServer();
});
afterAll(() => server.close());
beforeEach(() => {
  server.requests.length = 0;
});

const credentials = { accessKeyId: "KEY", secretAccessKey: "SECRET" };

let folders = 0;
function stored(
  objects: Readonly<Record<string, Uint8Array>>,
  options: Partial<S3Options> = { credentials },
) {
  const prefix = `models/p${folders++}`;
  for (const [name, bytes] of Object.entries(objects)) {
    server.objects.set(`bucket/${prefix}/${name}`, bytes);
  }
  return s3Folder({ fetch, endpoint: server.url, bucket: "bucket", prefix, ...options });
}

testSource("an S3 object", (bytes) => stored({ "a.bin": bytes }).open("a.bin"));
testSource("a public S3 object", (bytes) => stored({ "a.bin": bytes }, {}).open("a.bin"));
testFolder("an S3 prefix", async (objects) => stored(objects));

describe("S3", () => {
  test("signs every request for its region, with the token of temporary credentials", async () => {
    const folder = stored(
      { "a.bin": sampleBytes(100) },
      { region: "auto", credentials: { ...credentials, sessionToken: "TOKEN" } },
    );
    expect(folder.name).toMatch(/^s3:\/\/bucket\/models\/p\d+$/);
    await (await folder.open("a.bin")).readInto(new Uint8Array(10), 5);
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([
      "bytes=0-0",
      "bytes=5-14",
    ]);
    for (const { headers } of server.requests) {
      expect(headers.authorization).toMatch(
        /^AWS4-HMAC-SHA256 Credential=KEY\/\d{8}\/auto\/s3\/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}$/,
      );
      expect(headers["x-amz-security-token"]).toBe("TOKEN");
    }
  });

  test("sends nothing of who asks where there are no credentials", async () => {
    await stored({ "a.bin": sampleBytes(100) }, {}).open("a.bin");
    expect(server.requests[0]?.headers.authorization).toBeUndefined();
  });

  test("keeps secrets out of its messages", async () => {
    const folder = stored({});
    server.always = { kind: "status", status: 403 };
    const error = await folder.open("a.bin").catch((reason) => reason);
    server.always = { kind: "none" };
    expect(error).toMatchObject({ code: "source_failed", retryAfterMs: undefined });
    expect(error.message).toMatch(/a\.bin: HTTP 403/);
    expect(error.message).not.toMatch(/KEY|SECRET|Signature/);
  });

  test.each([
    ["a bucket that is none", { bucket: "a/b" }, /bucket/],
    ["an endpoint that is no URL", { endpoint: "storage" }, /endpoint/],
    ["an endpoint with a password", { endpoint: "https://a:b@storage" }, /credentials/],
    ["half a key", { credentials: { accessKeyId: "KEY", secretAccessKey: "" } }, /both/],
  ])("refuses %s", (_, options, message) => {
    expect(() => stored({}, options)).toThrow(message);
  });
});

describe("s3:// as a model", () => {
  test("is found by what the environment says, signed", async () => {
    server.objects.set("bucket/packs/one/manifest.json", sampleBytes(10));
    const env = {
      AWS_ENDPOINT_URL: server.url,
      AWS_DEFAULT_REGION: "eu-central-1",
      AWS_ACCESS_KEY_ID: "KEY",
      AWS_SECRET_ACCESS_KEY: "SECRET",
    };
    for (const name of ["s3://bucket/packs/one", "s3://bucket/packs/one/manifest.json"]) {
      expect((await s3PackFolder(name, env, fetch).open("manifest.json")).size).toBe(10);
    }
    expect(server.requests[0]?.headers.authorization).toContain("/eu-central-1/s3/");
  });

  test.each([
    ["s3:///model", {}, /s3:\/\/BUCKET\/PREFIX/],
    ["s3://bucket/a.gguf", {}, /pronk pack/],
    ["s3://bucket/a", { AWS_ACCESS_KEY_ID: "KEY" }, /AWS_SECRET_ACCESS_KEY/],
  ])("%s with %j is refused", (name, env, message) => {
    expect(() => s3PackFolder(name, env, fetch)).toThrow(message);
  });
});
