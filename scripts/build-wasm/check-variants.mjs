/**
 * Runs tests/unit/wasm-matrix/check-variants.ts under each runtime of scripts/runtimes.mjs: relaxed SIMD
 * needs a newer Node than the oldest that the package supports. That one runs it twice, the second time
 * with vectors joined to 256 bits and every kernel optimized before its first call. Needs the build.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const check = "tests/unit/wasm-matrix/check-variants.ts";
/** As of .ci/run; without the others a kernel may be compared before V8 has joined anything. */
const JOINED = ["--experimental-wasm-revectorize", "--no-liftoff", "--no-wasm-lazy-compilation"];
const COMPILE_WIDE =
  'new WebAssembly.Module(require("node:fs").readFileSync("wasm/dist/wide.wasm"))';

const runtimes = execFileSync(process.execPath, ["scripts/runtimes.mjs"], {
  cwd: root,
  encoding: "utf8",
});

function run(name, program, args) {
  console.log(name);
  const { status, error } = spawnSync(program, [...args, check], {
    cwd: root,
    stdio: "inherit",
    timeout: 120_000,
  });
  if (status !== 0) fail(name, error?.message ?? `exit code ${status}`);
}

function fail(name, why) {
  console.error(`${name}: ${why}`);
  process.exitCode = 1;
}

/** The groups of vectors in wide.wasm that V8 joins: none where the flag has lost its meaning. */
function joinedGroups(program) {
  const { stdout = "" } = spawnSync(
    program,
    [...JOINED, "--trace-wasm-revectorize", "-e", COMPILE_WIDE],
    { cwd: root, encoding: "utf8", timeout: 120_000, maxBuffer: 2 ** 28 },
  );
  return stdout.match(/Decided? to vectorize, [1-9]\d* revectorizable nodes/g)?.length ?? 0;
}

for (const line of runtimes.trim().split("\n")) {
  const [, runtime, version, program] = /^(\w+) (.*) (\/.*)$/.exec(line);
  const name = `${runtime} ${version}`;
  run(name, program, runtime === "deno" ? ["run", "-A"] : []);
  if (runtime !== "node" || process.arch !== "x64") continue;
  run(`${name} ${JOINED.join(" ")}`, program, JOINED);
  const joined = joinedGroups(program);
  console.log(`wide.wasm: ${joined} groups of vectors joined`);
  if (joined === 0) fail(name, "joins no vectors of wide.wasm");
}
