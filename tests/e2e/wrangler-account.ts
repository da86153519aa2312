/** An account for a project's wrangler where there is none: the stand-in in wrangler's place, and what it was asked. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { packageRoot } from "../../src/cli/runtimes.ts";

const root = packageRoot();

export interface WranglerAccount {
  /** For the project's commands. */
  readonly env: Readonly<Record<string, string>>;
  /** The arguments of each call, in their order. */
  asked(): readonly (readonly string[])[];
}

/**
 * @param project whose node_modules gets the stand-in
 * @param url where what is deployed is said to be
 */
export function wranglerAccount(project: string, url: string): WranglerAccount {
  const modules = join(project, "node_modules");
  const wrangler = join(modules, "wrangler");
  const bin = join(modules, ".bin", "wrangler");
  for (const path of [wrangler, bin]) rmSync(path, { recursive: true, force: true });
  mkdirSync(wrangler, { recursive: true });
  mkdirSync(join(modules, ".bin"), { recursive: true });
  const program = join(wrangler, "stand-in.mjs");
  copyFileSync(join(root, "tests/e2e/wrangler-stand-in.mjs"), program);
  // Its module is the real one: it has no account either.
  const module = relative(wrangler, join(root, "node_modules/wrangler/wrangler-dist/cli.js"));
  const manifest = { name: "wrangler", version: "0.0.0", main: module };
  const withBin = { ...manifest, bin: { wrangler: "./stand-in.mjs" } };
  writeFileSync(join(wrangler, "package.json"), JSON.stringify(withBin));
  writeFileSync(bin, `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`, { mode: 0o755 });
  const log = join(modules, "wrangler.log");
  writeFileSync(log, "");
  return {
    env: {
      STAND_IN_LOG: log,
      STAND_IN_STATE: join(modules, "wrangler-state"),
      STAND_IN_URL: url,
      STAND_IN_FOR: join(root, "node_modules/wrangler/bin/wrangler.js"),
    },
    asked: () =>
      readFileSync(log, "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
  };
}
