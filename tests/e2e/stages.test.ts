/** The model in parts on Node, Deno and Bun, over WebSocket: the hash and the answers of one memory; a part that dies. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commandLineOn, runChild } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { type ChildServer, startServer } from "./child-server.ts";
import { ANSWER_IDS, DEFAULT_PACK, QUESTION } from "./environment.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const thisNode = { program: process.execPath, args: [main] };
const runtimes = [thisNode, commandLineOn("deno"), commandLineOn("bun")];
const KEY = "between-parts";
const SIZES = ["--ctx", "768", "--slots", "3"];

const parts: ChildServer[] = [];
let front: ChildServer;

const startPart = (index: number, more: readonly string[] = []): Promise<ChildServer> =>
  startServer(runtimes[index], [DEFAULT_PACK, "--part", `${index + 1}/3`, ...SIZES, ...more], {
    command: "stage",
    PRONK_STAGE_KEY: KEY,
  });

const urls = (): string => parts.map(({ url }) => url).join(",");

beforeAll(async () => {
  for (const index of runtimes.keys()) parts.push(await startPart(index));
  front = await startServer(thisNode, [DEFAULT_PACK, "--stages", urls(), "--slots", "1"], {
    PRONK_STAGE_KEY: KEY,
  });
}, 120_000);

afterAll(async () => {
  await front?.close();
  for (const part of parts) await part.close();
});

async function ask(body: Record<string, unknown> = {}): Promise<Response> {
  return fetch(`${front.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "smollm2-135m-instruct",
      messages: [{ role: "user", content: QUESTION }],
      temperature: 0,
      return_token_ids: true,
      ...body,
    }),
    signal: AbortSignal.timeout(180_000),
  });
}

test("three parts on three runtimes give the hash of one memory", async () => {
  const hash = async (more: readonly string[]): Promise<{ logits_sha256: string }> =>
    JSON.parse(
      await runChild(thisNode, ["hash", DEFAULT_PACK, "--chunk", "16", ...more, "--json"], {
        timeoutMs: 450_000,
        env: { PRONK_STAGE_KEY: KEY },
      }),
    );
  const one = await hash([]);
  expect((await hash(["--stages", urls()])).logits_sha256).toBe(one.logits_sha256);
});

test("a front over them answers as a server does, and fails only what needs a part that is gone", {
  timeout: 360_000,
}, async () => {
  const answer = await (await ask()).json();
  expect(answer.choices[0].token_ids).toEqual(ANSWER_IDS);
  const again = await (await ask()).json();
  expect(again.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(0);
  expect(again.choices[0].token_ids).toEqual(ANSWER_IDS);

  const { port } = new URL(parts[1].url.replace(/^ws/, "http"));
  parts[1].child.kill("SIGKILL");
  const failed = await ask();
  expect(failed.status).toBe(500);
  expect((await fetch(`${front.url}/health`)).status).toBe(200);

  parts[1] = await startPart(1, ["--port", port]);
  const back = await (await ask()).json();
  expect(back.choices[0].token_ids).toEqual(ANSWER_IDS);
});

test("a part asks for its key", { timeout: 180_000 }, async () => {
  const run = runChild(thisNode, ["run", DEFAULT_PACK, "--stages", urls(), "--prompt", "a"], {
    timeoutMs: 150_000,
    env: { PRONK_STAGE_KEY: "another" },
  });
  await expect(run).rejects.toThrow(/401/);
});
