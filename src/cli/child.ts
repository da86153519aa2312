/** This command again, as a child process on a chosen runtime. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { PronkError } from "../errors.ts";
import type { Host } from "../platform/host/host.ts";
import { killGroup, OWN_GROUP } from "../platform/host/process-group.ts";
import { findRuntime, packageRoot, type RuntimeName } from "./runtimes.ts";

/** The program and its arguments before those of `pronk`. */
export interface CommandLine {
  readonly program: string;
  readonly args: readonly string[];
}

/** How this process was started. */
export function ownCommandLine(host: Host): CommandLine {
  const main = process.argv[1];
  return { program: process.execPath, args: host.name === "deno" ? ["run", "-A", main] : [main] };
}

/**
 * The command line on another runtime. Deno and Bun run the sources as they are, where there are
 * any; a published package has only the build.
 *
 * @throws PronkError "not_found" when the runtime is not installed.
 */
export function commandLineOn(runtime: RuntimeName): CommandLine {
  const root = packageRoot();
  const built = join(root, "dist", "src", "cli", "main.js");
  const source = join(root, "src", "cli", "main.ts");
  const program = findRuntime(runtime);
  if (runtime === "node") return { program, args: [built] };
  const main = existsSync(source) ? source : built;
  return { program, args: runtime === "deno" ? ["run", "-A", main] : ["run", main] };
}

export interface ChildOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Beside this process's variables. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What it is, for messages. Default: the program. */
  readonly label?: string;
  /** What went wrong, from what it wrote. Default: the last line of stderr that says what happened. */
  readonly reason?: (err: string, out: string) => string | undefined;
  /** Called once, with the time from the start of the process to its first output, and its id. */
  readonly onFirstOutput?: (ms: number, pid: number | undefined) => void;
}

/**
 * Runs it to its end; what it started itself ends with it where it is ended early.
 *
 * @returns what it wrote to stdout.
 * @throws PronkError "engine_failed" with its last line of stderr; "source_failed" when it takes
 *   longer than the limit; "aborted".
 */
export async function runChild(
  { program, args }: CommandLine,
  more: readonly string[],
  options: ChildOptions,
): Promise<string> {
  const { timeoutMs, signal, label = program } = options;
  const env = {
    ...process.env,
    DENO_NO_UPDATE_CHECK: "1",
    DENO_NO_PROMPT: "1",
    DO_NOT_TRACK: "1", // Bun
    ...options.env,
  };
  const started = performance.now();
  const child = spawn(program, [...args, ...more], {
    env,
    cwd: options.cwd,
    stdio: ["ignore", "pipe", "pipe"],
    ...OWN_GROUP,
  });
  let out = "";
  let err = "";
  let late = false;
  const kill = (): void => killGroup(child);
  const timer = setTimeout(() => {
    late = true;
    kill();
  }, timeoutMs);
  signal?.addEventListener("abort", kill, { once: true });
  if (signal?.aborted) kill();
  child.stdout.once("data", () => options.onFirstOutput?.(performance.now() - started, child.pid));
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject).once("close", resolve);
    });
    if (signal?.aborted) throw new PronkError("aborted", "aborted", { cause: signal.reason });
    if (late) {
      throw new PronkError("source_failed", `${label}: not done in ${timeoutMs / 1000} s`);
    }
    if (code !== 0) {
      const last = options.reason?.(err, out) ?? lastLine(err);
      const why = last || `exit code ${code}`;
      throw new PronkError("engine_failed", `${label}: ${why}`);
    }
    return out;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", kill);
  }
}

/** Of a command's errors, which may be followed by what to do next. */
function lastLine(err: string): string | undefined {
  const lines = err.trim().split("\n");
  return lines.findLast((line) => !line.startsWith("next: "));
}
