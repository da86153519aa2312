/** `pronk serve` as a process of its own, on any runtime, found by the line it prints. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { type CommandLine, commandLineOn } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";

/** The command line on every runtime, by the runtime's name; found when it is asked for. */
export const RUNTIME_LINES: readonly (readonly [name: string, line: () => CommandLine])[] = [
  [
    `node ${process.versions.node}`,
    () => ({
      program: process.execPath,
      args: [join(packageRoot(), "dist", "src", "cli", "main.js")],
    }),
  ],
  ["a newer node", () => commandLineOn("node")],
  ["deno", () => commandLineOn("deno")],
  ["bun", () => commandLineOn("bun")],
];

export interface ChildServer {
  readonly url: string;
  /** From the start of the process to the line that says it is ready. */
  readonly readyMs: number;
  readonly child: ChildProcess;
  /** What it has written so far, to stdout and stderr. */
  output(): string;
  close(): Promise<void>;
}

const READY_TIMEOUT_MS = 180_000;

/** Starts the server on a free port and waits until it is ready, or lives on without its model. */
export async function startServer(
  { program, args }: CommandLine,
  more: readonly string[],
  { command = "serve", ...env }: Readonly<Record<string, string>> = {},
): Promise<ChildServer> {
  const started = performance.now();
  const port = more.includes("--port") ? [] : ["--port", "0"];
  const child = spawn(program, [...args, command, ...more, ...port], {
    env: { ...process.env, DENO_NO_UPDATE_CHECK: "1", DO_NOT_TRACK: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => fail("not ready in time"), READY_TIMEOUT_MS);
    const fail = (why: string): void => {
      clearTimeout(timer);
      child.kill("SIGKILL");
      reject(new Error(`${program}: ${why}: ${output}`));
    };
    const read = (chunk: string): void => {
      output += chunk;
      const found =
        /(?: at|; requests to) (http:\/\/\S+)\/v1(?:, ready| try again)/.exec(output)?.[1] ??
        / at (ws:\/\/\S+), ready/.exec(output)?.[1];
      if (!found) return;
      clearTimeout(timer);
      resolve(found);
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    child.once("error", (error) => fail(error.message));
    child.once("exit", (code) => fail(`ended with ${code}`));
  });
  return {
    url,
    readyMs: performance.now() - started,
    child,
    output: () => output,
    async close(): Promise<void> {
      const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
      child.kill("SIGTERM");
      await ended;
      clearTimeout(timer);
    },
  };
}
