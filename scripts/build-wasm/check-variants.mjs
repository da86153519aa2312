/**
 * Runs tests/unit/wasm-matrix/check-variants.ts under each runtime of scripts/runtimes.mjs: relaxed SIMD
 * needs a newer Node than the oldest that the package supports. Needs the build.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const check = "tests/unit/wasm-matrix/check-variants.ts";
const runtimes = execFileSync(process.execPath, ["scripts/runtimes.mjs"], {
  cwd: root,
  encoding: "utf8",
});

for (const line of runtimes.trim().split("\n")) {
  const [, runtime, version, program] = /^(\w+) (.*) (\/.*)$/.exec(line);
  console.log(`${runtime} ${version}`);
  const args = runtime === "deno" ? ["run", "-A", check] : [check];
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: "inherit",
    timeout: 120_000,
  });
  if (status !== 0) {
    console.error(`${runtime}: ${error?.message ?? `exit code ${status}`}`);
    process.exitCode = 1;
  }
}
