// Feeds readers with files that are almost right, and looks for crashes, hangs, memory beyond the plan and errors
// that nobody documented. Needs what npm ci installs.
//
//   node scripts/fuzz.mjs [TARGET...]       targets of tests/fuzz/targets, all by default
//     --seconds S | --runs N                of each target; default 20 s
//     --seed N                              the same inputs again; without it, on from what earlier runs kept
//   node scripts/fuzz.mjs --ci              20 s of each with a fixed seed
//   node scripts/fuzz.mjs --self-test       whether each target finds the fault that is planted for it
//   node scripts/fuzz.mjs TARGET --replay FILE
import { mkdirSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const outfile = resolve(`.cache/fuzz/main-${process.pid}.mjs`);
mkdirSync(".cache/fuzz", { recursive: true });
await build({
  entryPoints: ["tests/fuzz/main.ts"],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  external: ["esbuild"],
  logLevel: "error",
});
const { main } = await import(pathToFileURL(outfile).href);
rmSync(outfile);
process.exit((await main()) ? 0 : 1);
