/** The user's wrangler: found where they work, run with a limit and without questions. It is no dependency of ours. */
import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { PronkError } from "../../errors.ts";
import { OWN_GROUP, signalGroup } from "../../platform/host/process-group.ts";
import { type CommandLine, runChild } from "../child.ts";
import { packageRoot } from "../runtimes.ts";

/** `wrangler deploy` uploads a script of a few MB and waits for it to be live. */
const DEFAULT_TIMEOUT_MS = 300_000;

/** `wrangler dev` bundles, then starts workerd. */
const DEV_TIMEOUT_MS = 90_000;

export interface Wrangler {
  readonly version: string | undefined;
  /** The file that its package exports; undefined for one that was found on PATH. */
  readonly module: string | undefined;
  /**
   * Runs a command to its end.
   *
   * @returns what it wrote to stdout.
   * @throws PronkError "engine_failed" with what wrangler calls the error; "source_failed" when it takes too long.
   */
  run(args: readonly string[], options?: WranglerOptions): Promise<string>;
  /** `wrangler dev`, until closed. */
  dev(args: readonly string[], options?: WranglerOptions): Promise<DevServer>;
}

export interface WranglerOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface DevServer {
  readonly url: string;
  close(): Promise<void>;
}

/** No messages home; nobody is asked where this machine is. */
export const QUIET_WRANGLER: Readonly<Record<string, string>> = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
};

const ENVIRONMENT = { ...QUIET_WRANGLER, CI: "1", NO_COLOR: "1", FORCE_COLOR: "0" };

/**
 * The wrangler of a project, else the one of this repository, else the one on PATH.
 *
 * @throws PronkError "not_found" saying how to get it.
 */
export function findWrangler(folder: string, path: string = process.env.PATH ?? ""): Wrangler {
  for (const from of [folder, packageRoot()]) {
    const manifest = resolveFrom(from, "wrangler/package.json");
    if (manifest === undefined) continue;
    const { version, bin, main } = JSON.parse(readFileSync(manifest, "utf8"));
    const program = join(dirname(manifest), typeof bin === "string" ? bin : bin.wrangler);
    const module = typeof main === "string" ? join(dirname(manifest), main) : undefined;
    return wranglerOf({ program: process.execPath, args: [program] }, version, module);
  }
  const name = process.platform === "win32" ? "wrangler.cmd" : "wrangler";
  const program = path
    .split(delimiter)
    .filter(Boolean)
    .map((entry) => join(entry, name))
    .find(isExecutable);
  if (program) return wranglerOf({ program, args: [] });
  throw new PronkError(
    "not_found",
    `wrangler, Cloudflare's tool, is not in ${folder} and not on PATH; npm install --save-dev wrangler, then npx wrangler login`,
  );
}

function wranglerOf(line: CommandLine, version?: string, module?: string): Wrangler {
  return {
    version,
    module,
    run: (args, { cwd, env, signal, timeoutMs = DEFAULT_TIMEOUT_MS } = {}) =>
      runChild(line, args, {
        cwd,
        signal,
        timeoutMs,
        env: { ...ENVIRONMENT, ...env },
        // `wrangler r2 object put`: the words before names and flags.
        label: `wrangler ${args
          .slice(
            0,
            args.findIndex((word) => !/^[a-z0-9]+$/.test(word)),
          )
          .join(" ")}`,
        reason: reasonOf,
      }),
    dev: (args, options = {}) => startDev(line, args, options),
  };
}

/** wrangler writes `[ERROR]` before what went wrong, and much behind it. */
function reasonOf(err: string, out: string): string | undefined {
  const text = stripVTControlCharacters(`${err}\n${out}`);
  const found = [...text.matchAll(/\[ERROR\]\s*([\s\S]*?)(?:\n\s*\n|$)/g)];
  if (found.length === 0) return undefined;
  // Of a build that fails the second says why.
  const reason = found.map(([, what]) => what.replace(/\s+/g, " ").trim()).join(" ");
  const isLogin = /CLOUDFLARE_API_TOKEN|not authenticated|wrangler login|Authentication error/i;
  return isLogin.test(text)
    ? `${reason}; npx wrangler login, or set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID`
    : reason;
}

async function startDev(
  { program, args }: CommandLine,
  more: readonly string[],
  { cwd, env, signal, timeoutMs = DEV_TIMEOUT_MS }: WranglerOptions,
): Promise<DevServer> {
  const child = spawn(program, [...args, "dev", ...more], {
    cwd,
    env: { ...process.env, ...ENVIRONMENT, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // wrangler's children outlive it otherwise.
    ...OWN_GROUP,
  });
  const kill = (name: "SIGTERM" | "SIGKILL"): void => signalGroup(child, name);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const close = async (): Promise<void> => {
    const timer = setTimeout(() => kill("SIGKILL"), 5000);
    kill("SIGTERM");
    await ended;
    clearTimeout(timer);
    kill("SIGKILL");
  };
  let output = "";
  try {
    const url = await new Promise<string>((resolve, reject) => {
      const fail = (why: string): void =>
        reject(new PronkError("engine_failed", `wrangler dev: ${reasonOf(output, "") ?? why}`));
      const timer = setTimeout(() => fail(`not ready in ${timeoutMs / 1000} s`), timeoutMs);
      const read = (text: string): void => {
        output += text;
        const found = /Ready on (http:\/\/\S+)/.exec(stripVTControlCharacters(output))?.[1];
        if (found === undefined) return;
        clearTimeout(timer);
        resolve(found);
      };
      child.stdout.setEncoding("utf8").on("data", read);
      child.stderr.setEncoding("utf8").on("data", read);
      child.once("error", (error) => fail(error.message));
      child.once("exit", (code) => fail(`ended with ${code}`));
      signal?.addEventListener("abort", () => fail("aborted"), { once: true });
    });
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The file of a package, as a module in this folder would find it. */
export function resolveFrom(folder: string, name: string): string | undefined {
  try {
    const path = createRequire(join(folder, "module.js")).resolve(name);
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
