/** A page of somebody else's server in a headless Chromium, driven from outside as a person would. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

// Plain JavaScript without declarations, so that scripts run unbuilt.
const script = (name: string) =>
  import(new URL(`../../scripts/bench/browser/${name}.mjs`, import.meta.url).href);
const { FLAGS, GPU_FLAGS, endBrowser, endingWithParent } = await script("run-page");
const { findChromium, rootFlags } = await script("find-chromium");

const LIMIT_MS = 100_000;
const POLL_MS = 50;

export interface OpenPage {
  /** What an expression is in the page, as soon as it is something; the page may be loaded anew meanwhile. */
  until<Value>(expression: string): Promise<Value>;
  close(): Promise<void>;
}

export interface PageOptions {
  /** The page has WebGPU, by Chromium's driver for CPUs. */
  readonly gpu?: boolean;
  /** Until an expression is something. */
  readonly limitMs?: number;
}

/** Chromium speaks its DevTools protocol over two pipes: JSON, each message ended by a zero. */
export async function openPage(
  url: string,
  { gpu = false, limitMs = LIMIT_MS }: PageOptions = {},
): Promise<OpenPage> {
  const profile = await mkdtemp(join(tmpdir(), "pronk-chromium-"));
  const flags = gpu ? GPU_FLAGS : FLAGS;
  const args = [...flags, ...rootFlags(), "--remote-debugging-pipe", `--user-data-dir=${profile}`];
  const [program, ...rest] = endingWithParent([findChromium(), ...args]);
  const child = spawn(program, rest, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const input = child.stdio[3] as Writable;
  const output = child.stdio[4] as Readable;

  type Reply = { id: number; result: never; error?: { message: string } };
  const waiting = new Map<number, (reply: Reply) => void>();
  let text = "";
  output.setEncoding("utf8").on("data", (more: string) => {
    const messages = (text + more).split("\0");
    text = messages.pop() ?? "";
    for (const message of messages) {
      const reply = JSON.parse(message) as Reply;
      waiting.get(reply.id)?.(reply);
      waiting.delete(reply.id);
    }
  });
  const ended = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`chromium: ended with ${code}`)));
  });
  ended.catch(() => {});
  let last = 0;
  const send = async <Result>(
    method: string,
    params: Record<string, unknown>,
    sessionId?: string,
  ): Promise<Result> => {
    const id = ++last;
    const answer = new Promise<Reply>((resolve) => waiting.set(id, resolve));
    input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const { result, error } = await Promise.race([answer, ended]);
    if (error) throw new Error(`chromium: ${method}: ${error.message}`);
    return result;
  };
  const close = async (): Promise<void> => {
    await endBrowser(child);
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const { targetId } = await send<{ targetId: string }>("Target.createTarget", {
      url: "about:blank",
    });
    const attach = { targetId, flatten: true };
    const { sessionId } = await send<{ sessionId: string }>("Target.attachToTarget", attach);
    await send("Page.navigate", { url }, sessionId);
    return {
      async until(expression) {
        const how = { expression, returnByValue: true };
        type Evaluated = { result: { value?: never; description?: string } };
        const limit = performance.now() + limitMs;
        for (let last = ""; performance.now() < limit; await sleep(POLL_MS)) {
          // Between two documents there is nothing to evaluate it in.
          const evaluated = send<Evaluated>("Runtime.evaluate", how, sessionId);
          const { result } = await evaluated.catch((error: Error) => ({
            result: { value: undefined, description: error.message },
          }));
          if (result.value) return result.value;
          last = result.description ?? last;
          if (performance.now() + POLL_MS >= limit) throw new Error(`page: ${expression}: ${last}`);
        }
        throw new Error(`page: ${expression}: not in ${limitMs} ms`);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
