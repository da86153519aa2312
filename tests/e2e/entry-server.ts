/** The servers of workers/, started as their first lines say. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { findRuntime, packageRoot } from "../../src/cli/runtimes.ts";
import { DEFAULT_PACK } from "./environment.ts";

export type EntryRuntime = "node" | "deno" | "bun";

export interface EntryServer {
  readonly url: string;
  readonly child: ChildProcess;
}

function commandOf(runtime: EntryRuntime, port: number): [string, string[]] {
  if (runtime === "node")
    return [process.execPath, [join(packageRoot(), "dist", "workers", "node.js")]];
  if (runtime === "bun") return [findRuntime("bun"), ["workers/bun.ts"]];
  const listen = ["--host", "127.0.0.1", "--port", String(port)];
  return [findRuntime("deno"), ["serve", "-A", ...listen, "workers/deno.ts"]];
}

/** Whether it answers has to be asked: /health. */
export function startEntry(
  runtime: EntryRuntime,
  port: number,
  more: Readonly<Record<string, string>> = {},
): EntryServer {
  const env = {
    ...process.env,
    MODEL: DEFAULT_PACK,
    PORT: String(port),
    DENO_NO_UPDATE_CHECK: "1",
    DO_NOT_TRACK: "1",
    ...more,
  };
  const [program, args] = commandOf(runtime, port);
  const child = spawn(program, args, {
    cwd: packageRoot(),
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return { url: `http://127.0.0.1:${port}`, child };
}

/** The status of its /health; 0 where nothing answers. */
export async function healthOf({ url }: EntryServer): Promise<number> {
  try {
    return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(5_000) })).status;
  } catch {
    return 0;
  }
}
