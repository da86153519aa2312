/** A conversation that goes on from runtime to runtime, over the folder of `pronk serve --responses`. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { startServer } from "./child-server.ts";
import { DEFAULT_PACK, QUESTION } from "./environment.ts";

// biome-ignore lint/suspicious/noExplicitAny: answers are read as freely as JSON is
type Json = any;

test("servers on Node, Deno and Bun go on from each other's responses, each key from its own", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pronk-responses-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const kept = join(folder, "kept");
  let previous: Json;
  for (const runtime of ["node", "deno", "bun"] as const) {
    const server = await startServer(
      commandLineOn(runtime),
      [DEFAULT_PACK, "--ctx", "256", "--slots", "1", "--responses", kept],
      { PRONK_API_KEYS: "one,two" },
    );
    try {
      const ask = async (key: string): Promise<{ status: number; json: Json }> => {
        const response = await fetch(`${server.url}/v1/responses`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
          body: JSON.stringify({
            model: "smollm2-135m-instruct",
            input: QUESTION,
            temperature: 0,
            max_output_tokens: 16,
            ...(previous === undefined ? {} : { previous_response_id: previous.id }),
          }),
          signal: AbortSignal.timeout(180_000),
        });
        return { status: response.status, json: await response.json() };
      };
      const { status, json } = await ask("one");
      expect([runtime, status, json.store]).toEqual([runtime, 200, true]);
      expect(json.usage.input_tokens).toBeGreaterThan(previous?.usage.input_tokens ?? 0);
      if (previous !== undefined) expect((await ask("two")).status).toBe(400);
      previous = json;
    } finally {
      await server.close();
    }
  }
  expect(await readdir(kept)).toHaveLength(3);
});
