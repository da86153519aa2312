/**
 * Compares every variant that this runtime can run with the golden hashes; for runtimes without the
 * test runner: `node check-variants.ts` (22 or later), `deno run -A`, `bun`. `--write` writes them.
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { BUILDS } from "../../support/kernel-builds.ts";
import { kernelHashes } from "./kernel-hashes.ts";

const GOLDEN = new URL("../../goldens/wasm-matrix.json", import.meta.url);

if (process.argv.includes("--write")) {
  writeFileSync(GOLDEN, `${JSON.stringify(kernelHashes("simd"), null, 2)}\n`);
}
const golden: Record<string, string> = JSON.parse(readFileSync(GOLDEN, "utf8"));
for (const build of BUILDS) {
  const found = kernelHashes(build);
  const differing = Object.keys({ ...golden, ...found }).filter((op) => golden[op] !== found[op]);
  const count = Object.keys(found).length;
  console.log(
    differing.length ? `${build}: ${differing.join(", ")} differ` : `${build}: ${count} equal`,
  );
  if (differing.length) process.exitCode = 1;
}
