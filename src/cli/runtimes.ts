/** The runtimes that `pronk hash --runtime` and the tests start: where each is found. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PronkError } from "../errors.ts";

export type RuntimeName = "node" | "deno" | "bun";

/** npm packages that are nothing but the program, so that no install script has to run. */
export interface RuntimePackage {
  readonly name: string;
  readonly version: string;
  /** The program, inside the package. */
  readonly program: string;
}

/** The package for this system; undefined where there is none. */
export function runtimePackage(
  runtime: RuntimeName,
  platform: string = process.platform,
  arch: string = process.arch,
): RuntimePackage | undefined {
  if (!["linux", "darwin", "win32"].includes(platform) || !["x64", "arm64"].includes(arch)) {
    return undefined;
  }
  const windows = platform === "win32";
  const exe = windows ? ".exe" : "";
  if (runtime === "node") {
    const system = windows ? "win" : platform;
    return { name: `node-${system}-${arch}`, version: "26.10.0", program: `bin/node${exe}` };
  }
  if (runtime === "deno") {
    const system = platform === "linux" ? `linux-${arch}-glibc` : `${platform}-${arch}`;
    return { name: `@deno/${system}`, version: "2.9.6", program: `deno${exe}` };
  }
  const system = `${windows ? "windows" : platform}-${arch === "arm64" ? "aarch64" : "x64"}`;
  return { name: `@oven/bun-${system}`, version: "1.4.5", program: `bin/bun${exe}` };
}

/** The repository's or the installed package's root: two or three folders up from here. */
export function packageRoot(): string {
  const here = fileURLToPath(new URL(".", import.meta.url));
  return join(here, /[\\/]dist[\\/]src[\\/]cli[\\/]$/.test(here) ? "../../.." : "../..");
}

/** Where scripts/runtimes.mjs installs. */
export function runtimesFolder(): string {
  return join(packageRoot(), ".cache", "runtimes");
}

/**
 * The program of a runtime: Deno and Bun from PATH first; Node from the cache only, since the Node
 * on PATH is the one that runs this.
 *
 * @throws PronkError "not_found" saying how to get it.
 */
export function findRuntime(runtime: RuntimeName, path: string = process.env.PATH ?? ""): string {
  const exe = process.platform === "win32" ? ".exe" : "";
  const folders = runtime === "node" ? [] : path.split(delimiter).filter(Boolean);
  const candidates = folders.map((folder) => join(folder, runtime + exe));
  const installed = runtimePackage(runtime);
  if (installed) {
    candidates.push(join(runtimesFolder(), "node_modules", installed.name, installed.program));
  }
  const found = candidates.find(isExecutable);
  if (found) return found;
  const where = `${runtime === "node" ? "" : "not on PATH and "}not in ${runtimesFolder()}`;
  throw new PronkError("not_found", `${runtime}: ${where}; node scripts/runtimes.mjs installs it`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
