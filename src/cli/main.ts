#!/usr/bin/env node
/** The `pronk` command, on Node, Deno and Bun. Exit code 0, 1 on failure, 2 on wrong usage. */
import type { Host } from "../platform/host/host.ts";
import { runCommand } from "./commands.ts";

async function currentHost(): Promise<Host> {
  if ("Deno" in globalThis) return (await import("../platform/deno/host.ts")).denoHost;
  if ("Bun" in globalThis) return (await import("../platform/bun/host.ts")).bunHost;
  (await import("../platform/node/spare-memory.ts")).spareMemory();
  return (await import("../platform/node/host.ts")).nodeHost;
}

async function start(): Promise<void> {
  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (abort.signal.aborted) process.exit(130); // asked twice: do not wait for anything
      abort.abort();
    });
  }
  const host = await currentHost();
  process.exitCode = await runCommand(process.argv.slice(2), {
    host,
    env: process.env,
    fetch: host.fetch,
    signal: abort.signal,
    out: (chunk) => void process.stdout.write(chunk),
    err: (chunk) => void process.stderr.write(chunk),
    isTerminal: process.stderr.isTTY === true,
    openLines: async () => {
      const { openLineInput } = await import("./line-input.ts");
      return openLineInput(process.stdin, process.stdout);
    },
    readStdin: async () => (await import("node:stream/consumers")).text(process.stdin),
  });
}

await start();
