import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DownloadTarget, download } from "../../../src/hub/download.ts";
import { breakOff, type FileServer, serveBytes, startFileServer } from "./file-server.ts";

const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);

let server: FileServer;
beforeEach(async () => {
  server = await startFileServer();
});
afterEach(() => server.close());

/** Keeps what is written; starts with the first `size` bytes of the file. */
function memoryTarget(size = 0): DownloadTarget & { content(): Uint8Array } {
  let content = bytes.slice(0, size);
  return {
    size,
    async write(piece, position) {
      const grown = new Uint8Array(Math.max(content.length, position + piece.length));
      grown.set(content);
      grown.set(piece, position);
      content = grown;
    },
    content: () => content,
  };
}

const quick = { fetch, backoffMs: 1 };

/** Of a server that stands still; another one may be slow. */
const impatient = { ...quick, connectTimeoutMs: 300, stallTimeoutMs: 300 };

test("downloads a file and reports progress up to its end", async () => {
  server.routes.set("/file", serveBytes(bytes));
  const target = memoryTarget();
  const seen: number[] = [];
  const options = { ...quick, onProgress: (p: { loaded: number }) => seen.push(p.loaded) };

  expect(await download(`${server.url}/file`, target, options)).toBe(bytes.length);
  expect(Buffer.compare(target.content(), bytes)).toBe(0);
  expect(seen.at(-1)).toBe(bytes.length);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
});

test("asks only for what the target lacks", async () => {
  server.routes.set("/file", serveBytes(bytes));
  const target = memoryTarget(100_000);
  await download(`${server.url}/file`, target, { ...quick, bytes: bytes.length });

  expect(Buffer.compare(target.content(), bytes)).toBe(0);
  expect(server.requests).toEqual(["/file bytes=100000- -"]);
});

test("asks for nothing when the target is complete", async () => {
  await download(`${server.url}/file`, memoryTarget(bytes.length), {
    ...quick,
    bytes: bytes.length,
  });
  expect(server.requests).toEqual([]);
});

test("starts over when the server ignores the range", async () => {
  server.routes.set("/file", (_, response) => response.writeHead(200).end(bytes));
  const target = memoryTarget(100_000);
  await download(`${server.url}/file`, target, quick);
  expect(Buffer.compare(target.content(), bytes)).toBe(0);
});

test("goes on where a broken connection stopped", async () => {
  server.routes.set("/file", breakOff(bytes, 90_000, 3));
  const target = memoryTarget();
  await download(`${server.url}/file`, target, { ...quick, isVerified: true });

  expect(Buffer.compare(target.content(), bytes)).toBe(0);
  expect(server.requests.length).toBe(4);
  expect(server.requests.slice(1).every((line) => line.includes("bytes="))).toBe(true);
});

test("starts over where neither hash nor headers tell one version from another", async () => {
  server.routes.set("/file", breakOff(bytes, 90_000, 1));
  const target = memoryTarget();
  await download(`${server.url}/file`, target, quick);
  expect(Buffer.compare(target.content(), bytes)).toBe(0);
  expect(server.requests).toEqual(["/file - -", "/file - -"]);
});

test.each(["etag", "last-modified"])(
  "a file replaced in the middle, by its %s, is refused",
  async (header) => {
    const other = bytes.map((byte) => byte ^ 255);
    let asked = 0;
    server.routes.set("/file", (request, response) => {
      const isFirst = asked++ === 0;
      response.setHeader(header, isFirst ? '"one"' : '"two"');
      if (!isFirst) return serveBytes(other, false)(request, response);
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 100_000), () => response.destroy());
    });
    await expect(download(`${server.url}/file`, memoryTarget(), quick)).rejects.toMatchObject({
      code: "corrupt",
      message: expect.stringMatching(
        /was changed while it was downloaded: .* "one" is now .* "two"$/,
      ),
    });
  },
);

test("what an earlier attempt kept of another version is refused", async () => {
  server.routes.set("/file", (request, response) => {
    response.setHeader("etag", '"two"');
    serveBytes(bytes, false)(request, response);
  });
  const kept = { ...quick, etag: '"one"' };
  await expect(download(`${server.url}/file`, memoryTarget(100_000), kept)).rejects.toMatchObject({
    code: "corrupt",
    message: expect.stringContaining('ETag "one" is now ETag "two"'),
  });
});

test("a server that sends a byte a try is given up, and one that drips, too", async () => {
  const one = breakOff(bytes, 1, 1e9);
  server.routes.set("/file", one);
  const known = { ...impatient, isVerified: true };
  await expect(download(`${server.url}/file`, memoryTarget(), known)).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringContaining("broken off at"),
  });
  expect(server.requests.length).toBeLessThanOrEqual(6);

  server.routes.set("/drip", (_, response) => {
    response.writeHead(200, { "content-length": bytes.length });
    const timer = setInterval(() => response.write("x"), 20);
    response.once("close", () => clearInterval(timer));
  });
  await expect(download(`${server.url}/drip`, memoryTarget(), known)).rejects.toMatchObject({
    code: "source_failed",
    message: expect.stringMatching(/broken off at \d+: only \d+ bytes in 0\.3 s$/),
  });
});

describe("a wait that a server asks for", () => {
  const busy = (wait: string, more: Record<string, string> = {}): void => {
    let first = true;
    server.routes.set("/file", (request, response) => {
      if (!first) return serveBytes(bytes)(request, response);
      first = false;
      response.writeHead(503, { "retry-after": wait, ...more }).end();
    });
  };
  const took = async (): Promise<number> => {
    const started = performance.now();
    await download(`${server.url}/file`, memoryTarget(), { ...quick, backoffMs: 200 });
    return performance.now() - started;
  };

  test("below nothing is ours", async () => {
    busy("-5");
    expect(await took()).toBeGreaterThanOrEqual(399);
  });

  test("as a date is counted by the server's clock", async () => {
    const date = "Wed, 21 Oct 2015 07:28:00 GMT";
    busy("Wed, 21 Oct 2015 07:28:01 GMT", { date });
    expect(await took()).toBeGreaterThanOrEqual(999);
  });

  test("that is too long is left to who asked", async () => {
    busy("86400");
    await expect(download(`${server.url}/file`, memoryTarget(), quick)).rejects.toMatchObject({
      code: "source_failed",
      message: `${server.url}/file: HTTP 503, asks to wait 86400 s`,
    });
    expect(server.requests.length).toBe(1);
  });
});

test("a body that was compressed on the way is taken as it was", async () => {
  server.routes.set("/file", (_, response) => {
    const body = gzipSync(bytes);
    response
      .writeHead(200, { "content-encoding": "gzip", "content-length": body.length })
      .end(body);
  });
  const target = memoryTarget();
  await download(`${server.url}/file`, target, { ...quick, bytes: bytes.length });
  expect(Buffer.compare(target.content(), bytes)).toBe(0);
});

test.each(["http://[nowhere", "ftp://elsewhere/a", "http://me:secret@elsewhere/a"])(
  "a redirect to %s is refused",
  async (location) => {
    server.routes.set("/file", (_, response) => response.writeHead(302, { location }).end());
    const refused = download(`${server.url}/file`, memoryTarget(), quick);
    await expect(refused).rejects.toMatchObject({
      name: "PronkError",
      code: "source_failed",
      message: expect.stringContaining("/file: redirected to "),
    });
    await expect(refused).rejects.not.toThrow("secret");
  },
);

test("waits out a busy server, and gives up after five futile attempts", async () => {
  let busy = 2;
  const whole = serveBytes(bytes);
  server.routes.set("/file", (request, response) => {
    if (busy-- > 0) response.writeHead(503, { "retry-after": "0" }).end();
    else whole(request, response);
  });
  await download(`${server.url}/file`, memoryTarget(), quick);
  expect(server.requests.length).toBe(3);

  server.requests.length = 0;
  server.routes.set("/down", (_, response) => response.writeHead(500).end());
  await expect(download(`${server.url}/down`, memoryTarget(), quick)).rejects.toMatchObject({
    code: "source_failed",
    message: `${server.url}/down: HTTP 500`,
  });
  expect(server.requests.length).toBe(5);
});

test("follows a redirect to another host without taking the token along", async () => {
  const storage = await startFileServer();
  try {
    storage.routes.set("/blob", serveBytes(bytes));
    server.routes.set("/file", (_, response) =>
      response.writeHead(302, { location: `${storage.url}/blob?signature=secret` }).end(),
    );
    const target = memoryTarget();
    await download(`${server.url}/file`, target, { ...quick, token: "hf_x" });

    expect(Buffer.compare(target.content(), bytes)).toBe(0);
    expect(server.requests).toEqual(["/file - Bearer hf_x"]);
    expect(storage.requests).toEqual(["/blob?signature=secret - -"]);
  } finally {
    await storage.close();
  }
});

describe("refuses", () => {
  test.each([
    [404, "not_found", "HTTP 404"],
    [401, "source_failed", "HF_TOKEN"],
    [403, "source_failed", "HF_TOKEN"],
    [418, "source_failed", "HTTP 418"],
  ])("HTTP %i, without another attempt", async (status, code, message) => {
    server.routes.set("/file", (_, response) => response.writeHead(status).end());
    await expect(download(`${server.url}/file?key=1`, memoryTarget(), quick)).rejects.toMatchObject(
      { code, message: expect.stringContaining(message) },
    );
    expect(server.requests.length).toBe(1);
  });

  test("a file of another length than the pinned one, before reading it", async () => {
    server.routes.set("/file", serveBytes(bytes));
    const target = memoryTarget();
    await expect(
      download(`${server.url}/file`, target, { ...quick, bytes: 5 }),
    ).rejects.toMatchObject({ code: "corrupt", message: expect.stringContaining("expected 5") });
    expect(target.content().length).toBe(0);
  });

  test("an answer that starts elsewhere than asked", async () => {
    server.routes.set("/file", (_, response) =>
      response.writeHead(206, { "content-range": "bytes 0-9/300000" }).end(bytes.subarray(0, 10)),
    );
    await expect(download(`${server.url}/file`, memoryTarget(1000), quick)).rejects.toMatchObject({
      message: expect.stringContaining("bytes 0-9/300000"),
    });
  });

  test("an endless chain of redirects", async () => {
    server.routes.set("/file", (_, response) =>
      response.writeHead(302, { location: "/file" }).end(),
    );
    await expect(download(`${server.url}/file`, memoryTarget(), quick)).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("redirects"),
    });
  });

  test("a server that never answers, twice", async () => {
    server.routes.set("/file", () => undefined);
    await expect(download(`${server.url}/file`, memoryTarget(), impatient)).rejects.toMatchObject({
      message: expect.stringContaining("no answer within 0.3 s"),
    });
    expect(server.requests.length).toBe(2);
  });

  test("a server that stands still in the middle", async () => {
    server.routes.set("/file", (request, response) => {
      if (request.headers.range) return; // the second attempt: nothing at all
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 1000));
    });
    const known = { ...impatient, isVerified: true };
    await expect(download(`${server.url}/file`, memoryTarget(), known)).rejects.toMatchObject({
      code: "source_failed",
    });
    expect(server.requests[1]).toContain("bytes=1000-");
  });

  test("a port where nobody listens, naming the reason", async () => {
    const { url, close } = await startFileServer();
    await close();
    await expect(download(`${url}/file`, memoryTarget(), quick)).rejects.toMatchObject({
      code: "source_failed",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });
});

test("an abort ends a download that stands still", async () => {
  const abort = new AbortController();
  server.routes.set("/file", (_, response) => {
    response.writeHead(200, { "content-length": bytes.length });
    response.write(bytes.subarray(0, 1000), () => setTimeout(() => abort.abort(), 20));
  });
  await expect(
    download(`${server.url}/file`, memoryTarget(), {
      ...quick,
      stallTimeoutMs: 20_000,
      signal: abort.signal,
    }),
  ).rejects.toMatchObject({ code: "aborted" });
});
