/** Dawn for Node over lavapipe, as scripts/webgpu.mjs installs it and scripts/test-webgpu.mjs starts tests with it. */
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const folder = join(
  realpathSync(fileURLToPath(new URL("../../.cache", import.meta.url))),
  "webgpu",
);

/** Of npm's packages there. */
export function packageFolder(name: string): string {
  return join(folder, "node_modules", name);
}

/** With these variables a process finds lavapipe, and no other driver. */
export function lavapipeEnvironment(): Record<string, string> {
  return JSON.parse(readFileSync(join(folder, "environment.json"), "utf8"));
}

/** Adapters die with it. */
let opened: GPU | undefined;

/** What a browser has as navigator.gpu. */
export async function openDawn(): Promise<GPU> {
  const main = pathToFileURL(join(packageFolder("webgpu"), "index.js")).href;
  opened ??= (await import(/* @vite-ignore */ main)).create([]) as GPU;
  return opened;
}
