/** Where downloads and packs are kept. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export type Environment = Readonly<Record<string, string | undefined>>;

/** PRONK_CACHE, or `pronk` in the XDG cache folder. */
export function cacheFolder(env: Environment): string {
  if (env.PRONK_CACHE) return resolve(env.PRONK_CACHE);
  // The XDG specification: a relative path in the variable is to be ignored.
  const xdg = env.XDG_CACHE_HOME;
  return join(xdg?.startsWith("/") ? xdg : join(homedir(), ".cache"), "pronk");
}
