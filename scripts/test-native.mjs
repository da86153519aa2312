/**
 * Builds the C kernels for this machine under AddressSanitizer and UndefinedBehaviorSanitizer, and runs
 * tests/native: every kernel, as in each of the modules, in buffers without slack
 * against naive loops. WebAssembly's intrinsics come from SIMDe.
 *
 *   npm run test:native       needs Debian's clang-19, libclang-rt-19-dev, libsimde-dev: installs them as root
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readPrototypes } from "./build-wasm/glue.mjs";

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

/** A run takes a few seconds; a kernel that never ends must not hang the suite. */
const RUN_TIMEOUT_MS = 120_000;

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
  const lines = readPrototypes(KERNELS).map(
    ({ name, result, parameters }) =>
      `${result.wasm ? "int32_t" : "void"} ${name}(${parameters.map(({ c }) => c).join(", ")});`,
  );
  writeFileSync(
    join(CACHE, "kernels.h"),
    `#pragma once\n#include <stdint.h>\n${lines.join("\n")}\n`,
  );
}

/** Returns the program's path. */
function build(name, flags) {
  const include = ["-include", join(TESTS, "intrinsics.h"), "-I", CACHE];
  const program = join(CACHE, name);
  const objects = [...sources(KERNELS), ...sources(TESTS)].map((source) => {
    const object = join(
      CACHE,
      `${name}-${source.startsWith(KERNELS) ? "kernel" : "test"}-${source.split("/").at(-1)}.o`,
    );
    const only = source.startsWith(KERNELS) ? include.slice(0, 2) : include.slice(2);
    execFileSync("clang-19", [...COMPILE, ...flags, ...only, "-c", source, "-o", object], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    return object;
  });
  execFileSync("clang-19", ["-fsanitize=address,undefined", ...objects, "-lm", "-o", program]);
  return program;
}

const run = (program, args = []) =>
  spawnSync(program, args, {
    encoding: "utf8",
    timeout: RUN_TIMEOUT_MS,
    // tracing is not always allowed where CI runs, and the tests free what they take
    env: { ...process.env, ASAN_OPTIONS: "detect_leaks=0", UBSAN_OPTIONS: "print_stacktrace=1" },
  });

const tally = { passed: 0, failed: 0 };
function count(ok, message) {
  tally[ok ? "passed" : "failed"]++;
  if (!ok) console.log(`FAIL ${message}`);
}

/** kernel -> the digests of its variants and builds, which must be one. */
const digests = new Map();

function testBuild(name, flags) {
  const program = build(name, flags);
  const { stdout, stderr, status, signal, error } = run(program);
  const summary = /^(\d+) passed, (\d+) failed$/m.exec(stdout);
  for (const line of stdout.split("\n").filter((line) => line.startsWith("FAIL")))
    console.log(`${line} (${name})`);
  for (const [, kernel, hash] of stdout.matchAll(/^digest (\S+) \S* ?([0-9a-f]{16})$/gm))
    digests.set(kernel, (digests.get(kernel) ?? new Set()).add(hash));
  tally.passed += Number(summary?.[1] ?? 0);
  tally.failed += Number(summary?.[2] ?? 0);
  const end = signal ?? error?.message ?? `exit ${status}`;
  count(
    summary && (status === 0 || Number(summary[2]) > 0),
    `${name}: ${end}\n${stderr.slice(0, 4000)}`,
  );

  const planted = run(program, ["plant"]);
  count(
    planted.status !== 0 && planted.stderr.includes("heap-buffer-overflow"),
    `${name}: a planted overrun was not caught`,
  );
}

try {
  installPackages();
  mkdirSync(CACHE, { recursive: true });
  writePrototypes();
  for (const [name, flags] of Object.entries(BUILDS)) testBuild(name, flags);
  for (const [kernel, found] of digests)
    count(found.size === 1, `${kernel}: variants or builds differ: ${[...found].join(", ")}`);
} catch (error) {
  count(false, error.message);
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0;
