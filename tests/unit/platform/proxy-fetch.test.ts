import { createServer, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { download } from "../../../src/hub/download.ts";
import { createProxyFetch } from "../../../src/platform/node/proxy-fetch.ts";

/** For pronk.test, which no name server knows, valid until 2126; it protects nothing. */
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgckRnOXVOsHcmlqNi
rZFAAXAitlC9J0XKWUqwLKXM3uKhRANCAAQB3vj9dkSFWgjI1xSj+lSgqzV/ndpz
cEw9saH/qQxXUmNFdO4i2BfgJYZcLaAIn33JfpERaOlnEr4tqW2ixwAY
-----END PRIVATE KEY-----`;
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBmDCCAT6gAwIBAgIURSRy6lluMeBZTkxlMCTXBRu3X6wwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKcHJvbmsudGVzdDAgFw0yNjExMjExMTI4NTlaGA8yMTI2MTAy
ODExMjg1OVowFTETMBEGA1UEAwwKcHJvbmsudGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABAHe+P12RIVaCMjXFKP6VKCrNX+d2nNwTD2xof+pDFdSY0V07iLY
F+AlhlwtoAiffcl+kRFo6WcSvi2pbaLHABijajBoMB0GA1UdDgQWBBRkwsPLp/q8
hvf2wcpEod8p42CBDDAfBgNVHSMEGDAWgBRkwsPLp/q8hvf2wcpEod8p42CBDDAP
BgNVHRMBAf8EBTADAQH/MBUGA1UdEQQOMAyCCnByb25rLnRlc3QwCgYIKoZIzj0E
AwIDSAAwRQIgd2Ln4sH5N8RFmV4KJVUIqXrMHglpMVvz7FOazSEC1fICIQCpzOuu
Nupwnoe7WllNa/LzEeAJet08jXAufJjjXn3Ggw==
-----END CERTIFICATE-----`;

const bytes = Uint8Array.from({ length: 50_000 }, (_, i) => i % 251);

let origin: Server;
let proxy: Server;
/** What the proxy was asked: target and credentials. */
let asked: string[];

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });

let originPort: number;
let proxyUrl: string;
beforeEach(async () => {
  asked = [];
  origin = createSecureServer({ key: KEY, cert: CERTIFICATE }, (request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
    response
      .writeHead(start > 0 ? 206 : 200, {
        "content-length": bytes.length - start,
        ...(start > 0 && { "content-range": range }),
      })
      .end(bytes.subarray(start));
  });
  originPort = await listen(origin);
  proxy = createServer();
  proxy.on("connect", (request, client) => {
    asked.push(`${request.url} ${request.headers["proxy-authorization"] ?? "-"}`);
    // Whatever name is asked for, the origin is what it means.
    const server = connect(originPort, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      server.pipe(client).pipe(server);
    });
    server.on("error", () => client.destroy());
    client.on("error", () => server.destroy());
  });
  proxyUrl = `http://127.0.0.1:${await listen(proxy)}`;
});
afterEach(() => {
  origin.closeAllConnections();
  origin.close();
  proxy.closeAllConnections();
  proxy.close();
});

/** Keeps what arrives. */
function memory(size = 0) {
  const content = new Uint8Array(bytes.length);
  content.set(bytes.subarray(0, size));
  return {
    size,
    content,
    async write(piece: Uint8Array, position: number): Promise<void> {
      content.set(piece, position);
    },
  };
}

test("https goes through the tunnel, with ranges and the proxy's credentials", async () => {
  const fetch = createProxyFetch(
    { HTTPS_PROXY: proxyUrl.replace("//", "//user:p%40ss@") },
    { ca: CERTIFICATE },
  );
  const target = memory(20_000);
  expect(await download("https://pronk.test/model.gguf", target, { fetch })).toBe(bytes.length);
  expect(Buffer.compare(target.content, bytes)).toBe(0);
  expect(asked).toEqual([`pronk.test:443 Basic ${btoa("user:p@ss")}`]);
});

test("the certificate is checked as without a proxy", async () => {
  const fetch = createProxyFetch({ HTTPS_PROXY: proxyUrl }, { ca: CERTIFICATE });
  await expect(fetch("https://other.test/")).rejects.toThrow(/altnames/);
  const untrusting = createProxyFetch({ HTTPS_PROXY: proxyUrl });
  await expect(untrusting("https://pronk.test/")).rejects.toThrow(/self-signed/);
});

test("an abort ends a request in the tunnel", async () => {
  origin.removeAllListeners("request");
  const fetch = createProxyFetch({ HTTPS_PROXY: proxyUrl }, { ca: CERTIFICATE });
  const signal = AbortSignal.timeout(100);
  await expect(fetch("https://pronk.test/", { signal })).rejects.toThrow(/abort/);
  expect(asked).toEqual(["pronk.test:443 -"]);
});

test("a proxy that refuses is named, with its answer", async () => {
  proxy.removeAllListeners("connect");
  proxy.on("connect", (_, client) => client.end("HTTP/1.1 407 Authentication required\r\n\r\n"));
  const fetch = createProxyFetch({ https_proxy: proxyUrl.replace("http://", "") });
  await expect(fetch("https://pronk.test/")).rejects.toThrow(
    `${proxyUrl.replace("http://", "")} answered 407`,
  );
});

test("a setting that is no URL is an error when it is used, without showing it", async () => {
  const fetch = createProxyFetch({ HTTPS_PROXY: "http://user:secret@" });
  const failed = download("https://pronk.test/x", memory(), { fetch });
  await expect(failed).rejects.toMatchObject({ code: "bad_request" });
  await expect(failed).rejects.not.toThrow("secret");
});

describe("without the proxy", () => {
  test("goes what NO_PROXY names", async () => {
    const names = `localhost, .test`;
    const fetch = createProxyFetch({ HTTPS_PROXY: proxyUrl, NO_PROXY: names });
    await expect(fetch("https://pronk.test:1/")).rejects.toThrow();
    expect(asked).toEqual([]);
  });

  test("goes http", async () => {
    const plain = createServer((_, response) => response.end("plain"));
    const port = await listen(plain);
    const fetch = createProxyFetch({ HTTPS_PROXY: proxyUrl });
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("plain");
    expect(asked).toEqual([]);
    plain.closeAllConnections();
    plain.close();
  });

  test("goes everything where none is set", () => {
    expect(createProxyFetch({})).toBe(globalThis.fetch);
  });
});
