/**
 * Builds the C kernels for this machine under AddressSanitizer and UndefinedBehaviorSanitizer, and runs tests/native: every
 * kernel, as in each of the modules, in buffers of exactly the planned size, against naive loops.
 *
 *   npm run test:native                         a fixed round, a random one, planted faults; needs Debian's clang-19,
 *                                               libclang-rt-19-dev, libsimde-dev: installs them as root
 *   npm run fuzz:kernels [-- --seconds N] [--seed S] [--rounds N]   random rounds alone: for a minute, or so long
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { readPrototypes } from "./build-wasm/glue.mjs";
import { PLANTED_FAULTS } from "./test-native/planted-faults.mjs";
import { checkTrace } from "./test-native/traced-calls.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const KERNELS = join(root, "wasm");
const TESTS = join(root, "tests/native");
const CACHE = join(root, ".cache/native");

/** What each package is needed for, by a file of it. */
const PACKAGES = {
  "clang-19": "/usr/bin/clang-19",
  "libclang-rt-19-dev": "/usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.asan-x86_64.a",
  "libsimde-dev": "/usr/include/simde/wasm/simd128.h",
  "libc6-dev": "/usr/include/stdlib.h",
};

const COMPILE = [
  "-std=c17",
  "-O1",
  "-g",
  "-msse4.1",
  "-ffp-contract=off",
  "-fno-strict-aliasing", // kernels read words of memory as the type they need; SIMDe's loads are plain
  "-fsanitize=address,undefined",
  "-fno-sanitize-recover=all",
  "-Wall",
  "-Wextra",
  "-Werror",
];

/** A round takes a few seconds; a kernel that never ends must not hang the suite. */
const RUN_TIMEOUT_MS = 120_000;

/** Of the random round in CI: fixed, so that what passes once passes again. `fuzz:kernels` takes others. */
const CI_SEED = "1";

const BUILDS = {
  relaxed: ["-DRELAXED=1"],
  plain: ["-DRELAXED=0"],
  wide: ["-DRELAXED=1", "-DWIDE=1"],
};

function installPackages() {
  const missing = Object.keys(PACKAGES).filter((name) => !existsSync(PACKAGES[name]));
  if (missing.length === 0) return;
  const wanted = `missing packages: apt-get install ${missing.join(" ")}`;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) throw new Error(wanted);
  console.log(`installing ${missing.join(", ")}`);
  const apt = (...args) =>
    execFileSync("apt-get", args, { stdio: ["ignore", "ignore", "inherit"] });
  apt("update");
  apt("install", "-y", "--no-install-recommends", ...missing);
}

const sources = (folder) =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".c"))
    .map((file) => join(folder, file));

function writePrototypes() {
  const lines = readPrototypes(KERNELS).map(({ name, result, parameters }) => {
    const type = result.wasm ? "int32_t" : "void";
    const declared = parameters.map(({ c }) => c).join(", ");
    const names = parameters.map(({ c }) => /\w+$/.exec(c)[0]).join(", ");
    const letters = parameters
      .map(({ c }) => (c.includes("*") ? "p" : /^(float|double)\b/.test(c) ? "f" : "i"))
      .join("");
    return [
      `${type} ${name}(${declared});`,
      `static inline ${type} traced_${name}(${declared}) {`,
      `  trace("${name}", "${letters}", ${names});`,
      `  ${result.wasm ? "return " : ""}${name}(${names});`,
      `}`,
      `#define ${name} traced_${name}`,
    ].join("\n");
  });
  writeFileSync(
    join(CACHE, "kernels.h"),
    `#pragma once\n#include <stdint.h>\nvoid trace(const char *kernel, const char *types, ...);\n${lines.join("\n")}\n`,
  );
}

const objectOf = (name, source) =>
  join(
    CACHE,
    `${name}-${source.startsWith(TESTS) ? "test" : "kernel"}-${source.split("/").at(-1)}.o`,
  );

function compile(name, flags, source, object = objectOf(name, source)) {
  const include = source.startsWith(TESTS)
    ? ["-I", CACHE]
    : ["-include", join(TESTS, "intrinsics.h")];
  execFileSync("clang-19", [...COMPILE, ...flags, ...include, "-c", source, "-o", object], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  return object;
}

function link(name, objects) {
  const program = join(CACHE, name);
  execFileSync("clang-19", ["-fsanitize=address,undefined", ...objects, "-lm", "-o", program]);
  return program;
}

/** Returns the program's path. */
function build(name, flags) {
  const all = [...sources(KERNELS), ...sources(TESTS)];
  return link(
    name,
    all.map((source) => compile(name, flags, source)),
  );
}

/** The program of a build that exists, with one fault in it. */
function buildPlanted(name, flags, { unit, file = unit, from, to }) {
  const folder = join(CACHE, "planted");
  rmSync(folder, { recursive: true, force: true });
  cpSync(KERNELS, folder, { recursive: true, filter: (path) => !path.endsWith(".wasm") });
  const text = readFileSync(join(folder, file), "utf8");
  if (!text.includes(from)) throw new Error(`${file}: no "${from}" to plant a fault in`);
  writeFileSync(join(folder, file), text.replaceAll(from, to));
  const planted = compile(name, flags, join(folder, unit), join(CACHE, "planted.o"));
  const objects = [...sources(KERNELS), ...sources(TESTS)].map((source) =>
    source === join(KERNELS, unit) ? planted : objectOf(name, source),
  );
  return link("planted-program", objects);
}

const run = (program, args = [], timeout = RUN_TIMEOUT_MS) =>
  spawnSync(program, args, {
    encoding: "utf8",
    timeout,
    maxBuffer: 2 ** 28,
    // tracing is not always allowed where CI runs, and the tests free what they take
    env: { ...process.env, ASAN_OPTIONS: "detect_leaks=0", UBSAN_OPTIONS: "print_stacktrace=1" },
  });

const tally = { passed: 0, failed: 0 };
function count(ok, message) {
  tally[ok ? "passed" : "failed"]++;
  if (!ok) console.log(`FAIL ${message}`);
}

/** kernel -> the digests of its variants and builds, which must be one. */
let digests = new Map();

function checkDigests(round) {
  for (const [kernel, found] of digests)
    count(
      found.size === 1,
      `${kernel}${round}: variants or builds differ: ${[...found].join(", ")}`,
    );
  digests = new Map();
}

/** Runs a build's program and counts what it says. */
function runTests(name, program, args) {
  const { stdout, stderr, status, signal, error } = run(program, args);
  const where = [name, ...args].join(" ");
  const summary = /^(\d+) passed, (\d+) failed$/m.exec(stdout);
  for (const line of stdout.split("\n").filter((line) => line.startsWith("FAIL")))
    console.log(`${line} (${where})`);
  for (const [, kernel, hash] of stdout.matchAll(/^digest (\S+) \S* ?([0-9a-f]{16})$/gm))
    digests.set(kernel, (digests.get(kernel) ?? new Set()).add(hash));
  tally.passed += Number(summary?.[1] ?? 0);
  tally.failed += Number(summary?.[2] ?? 0);
  const end = signal ?? error?.message ?? `exit ${status}`;
  count(
    summary && (status === 0 || Number(summary[2]) > 0),
    `${where}: ${end}\n${stderr.slice(0, 4000)}\n${stderr.slice(4000).slice(-200)}`,
  );
}

function testPlanted(name, program) {
  const planted = run(program, ["plant"]);
  count(
    planted.status !== 0 && planted.stderr.includes("heap-buffer-overflow"),
    `${name}: a planted overrun was not caught`,
  );
}

/** Each fault has to be found by the same random round that CI runs. */
function testFaults(name, flags) {
  for (const fault of PLANTED_FAULTS) {
    const { status } = run(buildPlanted(name, flags, fault), ["random", CI_SEED, "1"]);
    count(status !== 0, `${fault.unit}: a planted fault was not found: "${fault.to}"`);
  }
}

/** Every call in the fixed round ran in as many bytes as TypeScript plans for it. */
async function testTrace(name, program) {
  const { calls, problems } = await checkTrace(root, run(program, ["trace"]).stdout);
  for (const problem of problems) count(false, `${name}: ${problem}`);
  count(calls > 1000 && problems.length === 0, `${name}: ${calls} calls were traced`);
}

async function testAll(programs) {
  for (const [name, program] of programs) {
    runTests(name, program, []);
    testPlanted(name, program);
    await testTrace(name, program);
  }
  checkDigests("");
  testRandom(programs, CI_SEED, 1);
  testFaults("relaxed", BUILDS.relaxed);
}

function testRandom(programs, seed, rounds) {
  for (const [name, program] of programs) runTests(name, program, ["random", seed, `${rounds}`]);
  checkDigests(`, random ${seed} ${rounds}`);
}

/** Random rounds until the time is over or one fails; says how to run a round again. */
function fuzz(programs, { seed, seconds, rounds }) {
  const end = Date.now() + Number(seconds) * 1000;
  let done = 0;
  do {
    const name = rounds === undefined ? `${seed}.${done}` : seed;
    testRandom(programs, name, Number(rounds ?? 1));
    done += Number(rounds ?? 1);
    if (tally.failed > 0) {
      console.log(`again: npm run fuzz:kernels -- --seed ${name} --rounds ${rounds ?? 1}`);
      break;
    }
  } while (rounds === undefined && Date.now() < end);
  console.log(`${done} rounds of ${programs.length} builds from seed ${seed}`);
}

try {
  const { values } = parseArgs({
    options: {
      random: { type: "boolean" },
      seconds: { type: "string", default: "60" },
      seed: { type: "string", default: `${Date.now()}` },
      rounds: { type: "string" },
    },
  });
  installPackages();
  mkdirSync(CACHE, { recursive: true });
  writePrototypes();
  const programs = Object.entries(BUILDS).map(([name, flags]) => [name, build(name, flags)]);
  if (values.random) fuzz(programs, values);
  else await testAll(programs);
} catch (error) {
  count(false, error.message);
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0;
