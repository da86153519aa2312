/** `pronk serve` told to end while it answers: what runs goes on, what comes is sent elsewhere. */
import { afterEach, describe, expect, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { type ChildServer, startServer } from "./child-server.ts";
import { DEFAULT_PACK } from "./environment.ts";
import { beginStream, exitOf, restOf, STREAM_TOKENS } from "./long-stream.ts";

let server: ChildServer | undefined;
afterEach(() => server?.close());

describe.each(["node", "deno", "bun"] as const)("on %s", (runtime) => {
  test("a stream that runs is finished, new requests are refused, then it ends", async () => {
    server = await startServer(commandLineOn(runtime), [DEFAULT_PACK, "--threads", "1"]);
    const { url, child } = server;
    const events = await beginStream(server);
    const exit = exitOf(server);
    child.kill("SIGTERM");
    const options = { signal: AbortSignal.timeout(90_000) };
    await expect
      .poll(async () => (await fetch(`${url}/health`, options)).status, { interval: 5 })
      .toBe(503);
    expect(await (await fetch(`${url}/health`, options)).json()).toMatchObject({
      status: "stopping",
    });
    const refused = await fetch(`${url}/v1/models`, options);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("x-should-retry")).toBe("true");
    expect(await refused.json()).toMatchObject({ error: { code: "server_stopping" } });

    const data = await restOf(events);
    expect(data.at(-1)).toBe("[DONE]");
    expect(JSON.parse(data.at(-2) ?? "")).toMatchObject({
      usage: { completion_tokens: STREAM_TOKENS },
    });
    const ended = performance.now();
    expect(await exit).toBe(0);
    // Connections that are kept alive do not keep it alive.
    expect(performance.now() - ended).toBeLessThan(3000);
  });

  test("what does not end in time is told why, by one event", async () => {
    const options = ["--threads", "1", "--drain", "1"];
    server = await startServer(commandLineOn(runtime), [DEFAULT_PACK, ...options]);
    const streams = await Promise.all(Array.from({ length: 4 }, () => beginStream(server!)));
    const exit = exitOf(server);
    server.child.kill("SIGTERM");
    for (const data of await Promise.all(streams.map(restOf))) {
      const errors = data.filter((event) => event.includes('"error"'));
      expect(errors).toEqual([data.at(-1)]);
      expect(JSON.parse(errors[0] ?? "")).toMatchObject({ error: { type: "server_error" } });
    }
    expect(await exit).toBe(0);
  });
});
