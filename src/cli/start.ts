/** The `pronk` command, on Node, Deno and Bun. Exit code 0, 1 on failure, 2 on wrong usage. */
import type { Host } from "../platform/host/host.ts";
import { colorsFor } from "./colors.ts";
import { runCommand } from "./commands.ts";

async function currentHost(): Promise<Host> {
  if ("Deno" in globalThis) return (await import("../platform/deno/host.ts")).denoHost;
  if ("Bun" in globalThis) return (await import("../platform/bun/host.ts")).bunHost;
  (await import("../platform/node/spare-memory.ts")).spareMemory();
  return (await import("../platform/node/host.ts")).nodeHost;
}

/** As a shell reports a program that a closed pipe ended: 128 and SIGPIPE. */
const EXIT_CLOSED_PIPE = 141;

/** Where no terminal says how wide it is. */
const DEFAULT_COLUMNS = 80;

export async function start(): Promise<void> {
  const { stdout, stderr, env } = process;
  const abort = new AbortController();
  // SIGHUP: the terminal has gone; what runs is ended as carefully as when it is asked for.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (abort.signal.aborted) process.exit(130); // asked twice: do not wait for anything
      abort.abort();
    });
  }
  // A closed pipe: whoever reads has seen enough, as in `pronk ... | head`.
  stderr.on("error", ({ code }: NodeJS.ErrnoException) => {
    process.exit(code === "EPIPE" ? EXIT_CLOSED_PIPE : 1);
  });
  const outFailed = ({ code, name, message }: NodeJS.ErrnoException): void => {
    if (code === "EPIPE" || name === "BrokenPipe") process.exit(EXIT_CLOSED_PIPE);
    // A file on a disk that is full: what was asked for is not there.
    stderr.write(`pronk: standard output: ${message}\n`);
    process.exit(1);
  };
  stdout.on("error", outFailed);
  const out = (chunk: string): void => {
    try {
      stdout.write(chunk);
    } catch (error) {
      outFailed(error as NodeJS.ErrnoException); // Deno throws
    }
  };
  const host = await currentHost();
  const err = (chunk: string): void => void stderr.write(chunk);
  process.exitCode = await runCommand(process.argv.slice(2), {
    host,
    env,
    fetch: host.fetch,
    signal: abort.signal,
    out,
    err,
    note: err,
    isTerminal: stderr.isTTY === true,
    isOutTerminal: stdout.isTTY === true,
    colors: {
      out: await colorsFor(env, stdout.isTTY === true),
      err: await colorsFor(env, stderr.isTTY === true),
    },
    columns: () =>
      stderr.columns || stdout.columns || Math.trunc(Number(env.COLUMNS)) || DEFAULT_COLUMNS,
    openLines: async (options) => {
      const { openLineInput } = await import("./terminal/line-input.ts");
      return openLineInput(process.stdin, stdout, options);
    },
    readStdin: async () => (await import("node:stream/consumers")).text(process.stdin),
  });
}
