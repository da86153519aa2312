// The tests of the GPU backend on machines without a GPU: installs implementations of WebGPU and a
// driver for CPUs, then runs the suites over them.
//
//   npm run test:webgpu [-- vitest's arguments]
//
// Needs the build (npm ci makes it), and Chromium: from PATH, else by apt-get as root. Pulls SmolLM2
// unless PRONK_TEST_MODEL names its file.
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Everything here ends, whatever happens: the longest step is a download. */
const STEP_TIMEOUT_MS = 15 * 60_000;

/** Of all tests together. */
const TESTS_TIMEOUT_MS = 32 * 60_000;

for (const name of ["runtimes.mjs", "webgpu.mjs"]) {
  execFileSync(process.execPath, [join(root, "scripts", name)], {
    cwd: root,
    stdio: ["ignore", process.stderr, "inherit"],
    timeout: STEP_TIMEOUT_MS,
  });
}

const pronk = join(root, "dist", "src", "cli", "main.js");
const model =
  process.env.PRONK_TEST_MODEL ||
  execFileSync(process.execPath, [pronk, "pull", "smollm2-135m-instruct"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    timeout: STEP_TIMEOUT_MS,
  }).trim();

const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const config = join(root, "tests", "webgpu", "vitest.config.ts");
const environment = join(root, ".cache", "webgpu", "environment.json");
const { status, signal } = spawnSync(
  process.execPath,
  [vitest, "run", "--root", root, "--config", config, ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: "inherit",
    timeout: TESTS_TIMEOUT_MS,
    env: {
      ...process.env,
      ...JSON.parse(readFileSync(environment, "utf8")),
      PRONK_TEST_BACKEND: "webgpu",
      PRONK_TEST_MODEL: model,
    },
  },
);
if (signal) console.error(`test-webgpu: vitest ended by ${signal}`);
process.exitCode = status ?? 1;
