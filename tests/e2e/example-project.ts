/** A project of examples/ as somebody has it who copied the folder, or had it made: installed, its commands run as they are typed. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { TARGETS } from "../../src/cli/init/targets.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";

const COMMAND_MS = 500_000;
const START_MS = 60_000;

/** No errands of the tools' own; no colours. */
const QUIET = {
  CI: "1",
  NO_COLOR: "1",
  WRANGLER_SEND_METRICS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  DENO_NO_UPDATE_CHECK: "1",
  DO_NOT_TRACK: "1",
};

export interface ExampleProject {
  readonly folder: string;
  /** Standard output of a shell command. */
  run(command: string, env?: Readonly<Record<string, string>>): Promise<string>;
  /** Runs until the test ends; the line of it that matches is waited for. */
  start(
    command: string,
    line: RegExp,
    env?: Readonly<Record<string, string>>,
  ): Promise<RegExpExecArray>;
}

/**
 * A copy, gone with the test, whose dependencies are there in the versions that it names. What `pronk init` makes, the packed
 * package makes.
 *
 * @param pronk the packed package's folder.
 */
export async function installExample(name: string, pronk: string): Promise<ExampleProject> {
  const root = packageRoot();
  // What scripts/package-tools.mjs has installed.
  const tools = join(root, ".cache", "package-tools", "node_modules");
  const parent = await mkdtemp(join(tmpdir(), "pronk-example-"));
  onTestFinished(() => rm(parent, { recursive: true, force: true, maxRetries: 5 }));
  const folder = join(parent, name);
  const target = Object.entries(TARGETS).find(([, { example }]) => example === name)?.[0];
  if (target === undefined) cpSync(join(root, "examples", name), folder, { recursive: true });
  else {
    const main = join(pronk, "dist", "src", "cli", "main.js");
    execFileSync(process.execPath, [main, "init", name, "--to", target], { cwd: parent });
  }
  const link = (dependency: string): string => {
    const inRoot = join(root, "node_modules", dependency);
    const target = existsSync(inRoot) ? inRoot : join(tools, dependency);
    const place = join(folder, "node_modules", dependency);
    mkdirSync(dirname(place), { recursive: true });
    if (!existsSync(place)) symlinkSync(target, place);
    return target;
  };
  for (const [dependency, wanted] of Object.entries(dependenciesOf(folder))) {
    const target = dependency === "pronk" ? pronk : link(dependency);
    const { version } = JSON.parse(readFileSync(join(target, "package.json"), "utf8"));
    expect(version, `${name}: ${dependency}`).toBe(wanted);
  }
  // Copied, and what it needs put beside it, as npm does: development servers serve their project alone.
  cpSync(pronk, join(folder, "node_modules", "pronk"), { recursive: true });
  const { dependencies } = JSON.parse(readFileSync(join(pronk, "package.json"), "utf8"));
  for (const dependency of Object.keys(dependencies)) link(dependency);
  mkdirSync(join(folder, "node_modules", ".bin"), { recursive: true });
  symlinkSync("../pronk/dist/src/cli/main.js", join(folder, "node_modules", ".bin", "pronk"));
  const environment = (env: Readonly<Record<string, string>>): NodeJS.ProcessEnv => ({
    ...process.env,
    ...QUIET,
    ...env,
    // What npx and npm run find: the commands of the dependencies. Bun, as somebody has it who installed it.
    PATH: [
      join(folder, "node_modules", ".bin"),
      join(root, "node_modules", ".bin"),
      join(tools, ".bin"),
      dirname(commandLineOn("bun").program),
      process.env.PATH,
    ].join(":"),
  });
  return {
    folder,
    async run(command, env = {}) {
      const options = { cwd: folder, timeout: COMMAND_MS, env: environment(env) };
      // Compilers say on standard output what is wrong.
      const run = promisify(execFile)("sh", ["-ec", command], options);
      return (await run.catch((error) => Promise.reject(new Error(error.message + error.stdout))))
        .stdout;
    },
    async start(command, line, env = {}) {
      // A group of its own: the tools have children, which must end with them.
      const options = { cwd: folder, env: environment(env), detached: true } as const;
      const child = spawn("sh", ["-ec", `exec ${command}`], { ...options, stdio: "pipe" });
      const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
      onTestFinished(async () => {
        if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
        await ended;
      });
      let said = "";
      return new Promise((resolve, reject) => {
        const fail = (why: string): void => reject(new Error(`${command}: ${why}: ${said}`));
        const timer = setTimeout(() => fail("said nothing of it"), START_MS);
        const read = (text: string): void => {
          said = (said + text).slice(-8000);
          const found = line.exec(said);
          if (found === null) return;
          clearTimeout(timer);
          resolve(found);
        };
        for (const stream of [child.stdout, child.stderr])
          stream.setEncoding("utf8").on("data", read);
        void ended.then(() => fail("ended"));
      });
    },
  };
}

/** Of its package.json, or of a deno.json's imports. */
function dependenciesOf(folder: string): Readonly<Record<string, string>> {
  const read = (file: string): Record<string, Record<string, string>> => {
    try {
      return JSON.parse(readFileSync(join(folder, file), "utf8"));
    } catch {
      return {};
    }
  };
  const { dependencies, devDependencies } = read("package.json");
  const imports = Object.values(read("deno.json").imports ?? {}).map((specifier) => {
    const [, name = "", version = ""] = /^npm:(@?[^@]+)@([\d.]+)/.exec(specifier) ?? [];
    return [name, version] as const;
  });
  return { ...dependencies, ...devDependencies, ...Object.fromEntries(imports) };
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
