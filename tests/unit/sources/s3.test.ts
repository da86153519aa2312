import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { s3PackFolder } from "../../../src/platform/host/s3-model.ts";
import { type S3Options, s3Folder } from "../../../src/sources/s3.ts";
import { type Fault, type FaultServer, startFaultServer } from "./fault-server.ts";
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

  const refusal = (status: number, code: string, headers: Record<string, string> = {}): Fault => ({
    kind: "status",
    status,
    headers,
    body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>m</Message><Token-0>SECRET</Token-0></Error>`,
  });

  test.each([
    [403, "AccessDenied", undefined],
    [400, "ExpiredToken", undefined],
    [503, "SlowDown", 0],
  ])("says why in S3's words: %d %s", async (status, code, retryAfterMs) => {
    const folder = stored({ "a.bin": sampleBytes(100) });
    server.faults.push(refusal(status, code));
    const error = await folder.open("a.bin").catch((reason) => reason);
    expect(error).toMatchObject({
      code: "source_failed",
      message: expect.stringMatching(new RegExp(`/a\\.bin: HTTP ${status} ${code}$`)),
      retryAfterMs,
    });
    server.faults.push(refusal(status, "<b>no name</b>"));
    const plain = await stored({ "a.bin": sampleBytes(100) }, {})
      .open("a.bin")
      .catch((e) => e);
    expect(plain.message).toMatch(/a\.bin: HTTP \d+ [A-Z][A-Za-z ]+$/);
  });

  test.each(["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"])(
    "asks for credentials again when the store says %s, once a request",
    async (code) => {
      let asked = 0;
      const renewed = () => ({ ...credentials, sessionToken: `TOKEN-${++asked}` });
      const folder = stored({ "a.bin": sampleBytes(100) }, { credentials: renewed });
      const source = await folder.open("a.bin");
      server.faults.push(refusal(400, code));
      await source.readInto(new Uint8Array(10), 0);
      const tokens = server.requests.map(({ headers }) => headers["x-amz-security-token"]);
      expect(tokens).toEqual(["TOKEN-1", "TOKEN-1", "TOKEN-2"]);
      server.faults.push(refusal(400, code), refusal(400, code));
      await expect(source.readInto(new Uint8Array(10), 0)).rejects.toThrow(`HTTP 400 ${code}`);
      expect(asked).toBe(3);
    },
  );

  test("asks for credentials once for requests that are refused together", async () => {
    let asked = 0;
    const renewed = async () => ({ ...credentials, sessionToken: `TOKEN-${++asked}` });
    const folder = stored({ "a.bin": sampleBytes(100) }, { credentials: renewed });
    const sources = await Promise.all([folder.open("a.bin"), folder.open("a.bin")]);
    server.faults.push(refusal(400, "ExpiredToken"), refusal(400, "ExpiredToken"));
    await Promise.all(sources.map((source) => source.readInto(new Uint8Array(10), 0)));
    expect(asked).toBe(2);
  });

  test("asks again for credentials that could not be had", async () => {
    let asked = 0;
    const flaky = async () => {
      if (asked++ === 0) throw new Error("metadata service: no answer");
      return credentials;
    };
    const folder = stored({ "a.bin": sampleBytes(100) }, { credentials: flaky });
    await expect(folder.open("a.bin")).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("a.bin: metadata service: no answer"),
      retryAfterMs: 0,
    });
    expect((await folder.open("a.bin")).size).toBe(100);
  });

  test("signs by the store's clock where ours is wrong", async () => {
    const folder = stored({ "a.bin": sampleBytes(100) });
    const date = "Wed, 21 Oct 2015 07:28:00 GMT";
    server.faults.push(refusal(403, "RequestTimeTooSkewed", { date }));
    const source = await folder.open("a.bin");
    await source.readInto(new Uint8Array(10), 0);
    const dates = server.requests.map(({ headers }) => String(headers["x-amz-date"]));
    expect(dates[0]).not.toMatch(/^2015/);
    expect(dates.slice(1).every((text) => /^20151021T0728\d\dZ$/.test(text))).toBe(true);
    expect(server.requests[1]?.headers.authorization).toContain("KEY/20151021/us-east-1/s3/");
  });

  test("signs nothing for another host, to which the store redirects", async () => {
    const bytes = sampleBytes(100);
    const elsewhere = await startFaultServer();
    try {
      elsewhere.objects.set("moved/a.bin", bytes);
      const own = { ...credentials, sessionToken: "TOKEN" };
      const folder = stored({ "a.bin": bytes }, { credentials: own });
      server.faults.push({ kind: "redirect", to: `${elsewhere.url}/moved/a.bin` });
      expect((await folder.open("a.bin")).size).toBe(100);
      const { headers } = elsewhere.requests[0]!;
      expect(Object.keys(headers).filter((name) => /amz|authorization/.test(name))).toEqual([]);
    } finally {
      await elsewhere.close();
    }
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
