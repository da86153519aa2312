// Peers are installed beside the package, never into it.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LIMIT_MS = 10 * 60_000;

/**
 * Installs exact versions into .cache/bench-peers/NAME; nothing happens when they are there.
 * Install scripts do not run, and optional packages (binaries for GPUs) stay away.
 */
export function installPeer(root, name, dependencies) {
  const folder = join(root, ".cache", "bench-peers", name);
  const installed = (dependency) => {
    const manifest = join(folder, "node_modules", dependency, "package.json");
    return existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined;
  };
  if (Object.entries(dependencies).every(([key, version]) => installed(key) === version)) {
    return folder;
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
  const options = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"];
  execFileSync("npm", ["install", "--prefix", folder, ...options], {
    stdio: ["ignore", "ignore", "inherit"],
    timeout: LIMIT_MS,
  });
  return folder;
}
