/** The servers of workers/: they serve, and end what they have begun when they are told to end. */
import { describe, expect, onTestFinished, test } from "vitest";
import { type EntryServer, healthOf, startEntry } from "./entry-server.ts";
import { beginStream, exitOf, restOf, STREAM_TOKENS } from "./long-stream.ts";

/** Far from the ports of the machine's own services; one each, since the entries take no 0. */
const FIRST_PORT = 21_787;

let starts = 0;

async function started(
  runtime: "node" | "deno" | "bun",
  env: Record<string, string> = {},
): Promise<EntryServer> {
  const server = startEntry(runtime, FIRST_PORT + starts++, env);
  onTestFinished(() => void server.child.kill("SIGKILL"));
  await expect.poll(() => healthOf(server), { timeout: 180_000, interval: 100 }).toBe(200);
  return server;
}

describe.each(["node", "deno", "bun"] as const)("workers/%s", (runtime) => {
  test("told to end, finishes its streams, refuses new requests, then ends", async () => {
    const server = await started(runtime);
    const events = await beginStream(server);
    const exit = exitOf(server);
    server.child.kill("SIGTERM");
    // `deno serve` itself stops listening: nobody connects any more.
    const status = runtime === "deno" ? 0 : 503;
    await expect.poll(() => healthOf(server), { interval: 5 }).toBe(status);
    if (status === 503) {
      const refused = await fetch(`${server.url}/v1/models`, {
        signal: AbortSignal.timeout(5_000),
      });
      expect(refused.status).toBe(503);
      expect(await refused.json()).toMatchObject({ error: { code: "server_stopping" } });
    }

    const data = await restOf(events);
    expect(data.at(-1)).toBe("[DONE]");
    expect(JSON.parse(data.at(-2) ?? "")).toMatchObject({
      usage: { completion_tokens: STREAM_TOKENS },
    });
    const ended = performance.now();
    expect(await exit).toBe(0);
    expect(performance.now() - ended).toBeLessThan(3000);
  });

  test("tells what does not end in time why, by one event", async () => {
    const server = await started(runtime, { DRAIN: "1" });
    const streams = await Promise.all(Array.from({ length: 4 }, () => beginStream(server)));
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
