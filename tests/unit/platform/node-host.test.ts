import { describe, expect, test } from "vitest";
import { loadKernels } from "../../../src/platform/host/kernels.ts";
import { listenUrl } from "../../../src/platform/host/listen-url.ts";
import { peakResidentBytes } from "../../../src/platform/host/peak-memory.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";

describe("kernels", () => {
  test("are found beside the package and compiled as far as the engine can", async () => {
    const { plain, relaxed } = await loadKernels(nodeHost);
    expect(plain).toBeInstanceOf(WebAssembly.Module);
    // Node 20 has no relaxed SIMD.
    expect(relaxed === undefined).toBe(process.versions.node.startsWith("20."));
  });

  test("that are not there are named", async () => {
    const readFile = (): Promise<Uint8Array> => Promise.reject(new Error("ENOENT"));
    await expect(loadKernels({ readFile })).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining(".wasm"),
    });
  });
});

describe("serving", () => {
  test("answers on a free port until it is closed", async () => {
    const server = await nodeHost.serve(async (request) => new Response(await request.text()), {
      hostname: "127.0.0.1",
      port: 0,
    });
    const response = await fetch(server.url, { method: "POST", body: "hello" });
    expect(await response.text()).toBe("hello");
    await server.close();
    await expect(fetch(server.url)).rejects.toThrow();
  });

  test("closing breaks off an answer that goes on", async () => {
    const endless = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array(1)),
    });
    const server = await nodeHost.serve(() => new Response(endless), {
      hostname: "127.0.0.1",
      port: 0,
    });
    const response = await fetch(server.url);
    const read = response.arrayBuffer();
    read.catch(() => undefined);
    await server.close();
    await expect(read).rejects.toThrow();
  });

  test("a port that is taken is an error with its code", async () => {
    const options = { hostname: "127.0.0.1", port: 0 };
    const first = await nodeHost.serve(() => new Response(), options);
    const port = Number(new URL(first.url).port);
    const second = nodeHost.serve(() => new Response(), { ...options, port });
    await expect(second).rejects.toMatchObject({ code: "EADDRINUSE" });
    await first.close();
  });

  test("IPv6 addresses stand in brackets", () => {
    expect(listenUrl("::1", 80)).toBe("http://[::1]:80");
    expect(listenUrl("127.0.0.1", 80)).toBe("http://127.0.0.1:80");
  });
});

test("a yield lets timers and sockets run", async () => {
  let ran = false;
  setImmediate(() => {
    ran = true;
  });
  await nodeHost.yieldTask();
  expect(ran).toBe(true);
});

test("the peak of resident memory is at least what is used now", () => {
  const peak = peakResidentBytes();
  expect(peak).toBeGreaterThanOrEqual(process.memoryUsage.rss() * 0.9);
  expect(peak).toBeLessThan(2 ** 40);
});
