// The end-to-end tests: prepares what they need, then runs them over real runtimes.
//
//   npm run test:e2e [-- vitest's arguments]
//   npm run test:browser [-- vitest's arguments]     in Chromium: from PATH, else by apt-get as root
//   npm run test:playground [-- vitest's arguments]  the page for people, in the same Chromium
//
// Needs the build (npm ci makes it). Installs runtimes into .cache/runtimes, what checks packages
// into .cache/package-tools, pulls SmolLM2 by the command under test itself, unless PRONK_TEST_MODEL
// names its file, and packs it into .cache/e2e.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const pronk = join(root, "dist", "src", "cli", "main.js");

/** Everything here ends, whatever happens: the longest step is a download. */
const STEP_TIMEOUT_MS = 15 * 60_000;

/** Of all tests together: they take a quarter of an hour, or twice that on a busy machine. */
const TESTS_TIMEOUT_MS = 35 * 60_000;

const run = (args) =>
  execFileSync(process.execPath, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    timeout: STEP_TIMEOUT_MS,
  });

process.stderr.write(run([join(root, "scripts", "runtimes.mjs")]));
process.stderr.write(run([join(root, "scripts", "package-tools.mjs")]));
const model = process.env.PRONK_TEST_MODEL || run([pronk, "pull", "smollm2-135m-instruct"]).trim();

const changedMs = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** When what packs was changed last. */
const packerMs = Math.max(
  ...[fileURLToPath(import.meta.url), model].map(changedMs),
  ...readdirSync(join(root, "dist"), { recursive: true }).map((name) =>
    changedMs(join(root, "dist", name)),
  ),
);

/** Packs once for all suites. The manifest is written last; of an older pack the shards that are still right are kept. */
const pack = (name, ...options) => {
  const out = join(root, ".cache", "e2e", name);
  if (changedMs(join(out, "manifest.json")) > packerMs) return out;
  return JSON.parse(run([pronk, "pack", model, "--out", out, ...options, "--json"])).path;
};

const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
// A folder may have its own.
const [folder = "tests/e2e"] = /^tests\/[^/]+/.exec(process.argv[2] ?? "") ?? [];
const own = join(root, folder, "vitest.config.ts");
const config = existsSync(own) ? own : join(root, "tests", "e2e", "vitest.config.ts");
const { status, signal } = spawnSync(
  process.execPath,
  [vitest, "run", "--root", root, "--config", config, ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: "inherit",
    timeout: TESTS_TIMEOUT_MS,
    env: {
      ...process.env,
      PRONK_TEST_MODEL: model,
      PRONK_TEST_PACK: pack("default"),
      PRONK_TEST_SMALL_PACK: pack("small", "--budget", "128MB"),
    },
  },
);
if (signal) console.error(`e2e: vitest ended by ${signal}`);
process.exitCode = status ?? 1;
