// Mutation testing: how much of what formats, pack and the sampler do would a test notice if it changed?
//
//   node scripts/mutation.mjs                       all three
//   node scripts/mutation.mjs sampler               one of them
//   node scripts/mutation.mjs src/formats/half.ts   files of them
//     --force                                       each mutant again, not only those whose code or tests changed
//
// Installs Stryker into .cache/mutation on first use (67 MB, so no dependency), and leaves its reports there.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { LEAST_SCORE, PARTS, partsOf, TOO_SLOW } from "./mutation/parts.mjs";
import { printScores } from "./mutation/scores.mjs";

const STRYKER = { "@stryker-mutator/core": "9.6.1" };
const root = resolve(import.meta.dirname ?? ".", "..");
const folder = join(root, ".cache/mutation");

function install() {
  const manifest = join(folder, "package.json");
  const wanted = JSON.stringify({ private: true, dependencies: STRYKER });
  if (existsSync(join(folder, "node_modules")) && existsSync(manifest)) {
    if (readFileSync(manifest, "utf8") === wanted) return;
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(manifest, wanted);
  const args = ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"];
  execFileSync("npm", args, { stdio: ["ignore", "ignore", "inherit"], timeout: 10 * 60_000 });
}

/** What Stryker is told for the sources of one part, or some of them. */
function configOf({ name, sources, tests }) {
  return {
    mutate: sources,
    testRunner: "kept-tests",
    plugins: [join(root, "scripts/mutation/runner.mjs")],
    pronk: { tests, without: TOO_SLOW },
    coverageAnalysis: "perTest",
    incremental: true,
    incrementalFile: join(folder, `${name}.incremental.json`),
    reporters: ["json", "progress-append-only"],
    jsonReporter: { fileName: join(folder, `${name}.json`) },
    concurrency: 1,
    // The runner has limits of its own, by mutant; this one would end the runner.
    timeoutMS: 600_000,
    tempDirName: ".stryker-tmp",
    ignorePatterns: [
      "/dist",
      "/site",
      "/examples",
      "/deploy",
      "/.cache",
      "/.wrangler",
      "/biome.json",
    ],
    // The compiler's API, which Stryker would rewrite tsconfig.json with, is not in TypeScript 7.
    tsconfigFile: "none",
    allowConsoleColors: false,
    warnings: { unknownOptions: false },
  };
}

const named = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const force = process.argv.includes("--force") ? ["--force"] : [];
install();
let isLow = false;
for (const part of partsOf(named, PARTS, root)) {
  const config = join(folder, `${part.name}.config.json`);
  writeFileSync(config, JSON.stringify(configOf(part), undefined, 2));
  const stryker = join(folder, "node_modules/@stryker-mutator/core/bin/stryker.js");
  const { status } = spawnSync(process.execPath, [stryker, "run", config, ...force], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
  const report = JSON.parse(readFileSync(join(folder, `${part.name}.json`), "utf8"));
  if (printScores(part.name, report) < LEAST_SCORE) isLow = true;
}
process.exitCode = isLow ? 1 : 0;
