/** Programs of the system that the tests start: from PATH, else by apt-get as root. */
import { execFileSync, type StdioOptions } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const INSTALL_TIMEOUT_MS = 170_000;

/**
 * The program's path, also where only root looks.
 *
 * @throws Error saying which package is missing.
 */
export function systemProgram(name: string, aptPackage: string = name): string {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"];
  const find = (): string | undefined =>
    folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  const found = find();
  if (found !== undefined) return found;
  const missing = `${name} is missing: apt-get install ${aptPackage}`;
  if (process.getuid?.() !== 0) throw new Error(missing);
  const aptGet = (...args: string[]): void => {
    const stdio: StdioOptions = ["ignore", "ignore", "inherit"];
    // Installed, not started: at this level Debian starts no services.
    const env = { ...process.env, RUNLEVEL: "1", DEBIAN_FRONTEND: "noninteractive" };
    execFileSync("apt-get", args, { stdio, env, timeout: INSTALL_TIMEOUT_MS });
  };
  aptGet("update", "-q");
  aptGet("install", "-qy", "--no-install-recommends", aptPackage);
  const installed = find();
  if (installed === undefined) throw new Error(missing);
  return installed;
}
