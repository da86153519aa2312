/** Damages to a pack, and what a server says of one. */
import { copyFile, link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { MANIFEST_NAME, type Manifest } from "../../src/pack/manifest.ts";
import { objectName } from "../../src/pack/shards.ts";
import { QUESTION } from "./environment.ts";

const MODEL = "smollm2-135m-instruct";
const TIMEOUT_MS = 180_000;

export async function manifestOf(pack: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(pack, MANIFEST_NAME), "utf8"));
}

/** A copy of a pack that shares its files with it until `replaceObject` gives it others. */
export async function linkedCopy(pack: string, name: string): Promise<string> {
  const copy = join(packageRoot(), ".cache", "e2e", `faults-${name}`);
  await rm(copy, { recursive: true, force: true });
  await mkdir(copy, { recursive: true });
  const { shards, tokenizer } = await manifestOf(pack);
  const objects = [...shards, ...(tokenizer ? [tokenizer] : [])].map(objectName);
  for (const object of objects) await link(join(pack, object), join(copy, object));
  await copyFile(join(pack, MANIFEST_NAME), join(copy, MANIFEST_NAME));
  return copy;
}

/** Gives the folder a file of its own; undefined takes it away. */
export async function replaceObject(
  folder: string,
  object: string,
  bytes: Uint8Array | undefined,
): Promise<void> {
  // Never into the shared file.
  await rm(join(folder, object), { force: true });
  if (bytes) await writeFile(join(folder, object), bytes);
}

export function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const damaged = new Uint8Array(bytes); // a Buffer's slice() would be the same memory
  damaged[bit >> 3] ^= 1 << (bit & 7);
  return damaged;
}

export function chatBody(more: Record<string, unknown>): Record<string, unknown> {
  return {
    model: MODEL,
    messages: [{ role: "user", content: QUESTION }],
    temperature: 0,
    return_token_ids: true,
    ...more,
  };
}

export function ask(
  url: string,
  more: Record<string, unknown> = {},
  signal?: AbortSignal,
): Promise<Response> {
  return post(`${url}/v1/chat/completions`, chatBody(more), signal);
}

/** workerd ends connections that were idle for seconds, as they are here: none is used again. */
const ONCE = { connection: "close" };

function post(url: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { ...ONCE, "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(signal ? [signal] : [])]),
  });
}

/** Every way of asking gets OpenAI's error envelope, saying each of `facts`, and nothing else. */
export async function expectRefused(url: string, facts: readonly string[]): Promise<void> {
  const prompt = { model: MODEL, prompt: "One, two,", max_tokens: 4 };
  const completion = post(`${url}/v1/completions`, prompt);
  const answers = await Promise.all([ask(url), ask(url, { stream: true }), completion]);
  for (const answer of answers) {
    const text = await answer.text();
    expect(answer.status, text).toBe(500);
    expect(answer.headers.get("content-type")).toContain("application/json");
    const { error, ...rest } = JSON.parse(text);
    expect(rest).toEqual({});
    expect(error).toMatchObject({ type: "server_error", code: "engine_failed", param: null });
    for (const fact of facts) expect(error.message).toContain(fact);
  }
}

/** /health says that the model failed, and why. */
export async function expectFailedHealth(url: string, facts: readonly string[]): Promise<void> {
  const health = await fetch(`${url}/health`, { headers: ONCE });
  expect(health.status).toBe(503);
  const { status, error } = await health.json();
  expect(status).toBe("failed");
  for (const fact of facts) expect(error.message).toContain(fact);
}
