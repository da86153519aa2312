import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";

/** Of V8, for every test: .ci/run has kernels compiled for vectors of 256 bits. */
const execArgv = (process.env.PRONK_TEST_V8_FLAGS ?? "").split(" ").filter(Boolean);

/** Percent of the lines of each of these folders that tests run: `npm run test:coverage`. */
const LEAST_LINES = 90;
const COVERED = ["formats", "pack", "tokenizers", "generate", "server"];

const config: ViteUserConfig = defineConfig({
  // As scripts/build-playground.mjs has it.
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  test: {
    include: ["tests/*.test.ts", "tests/{unit,conformance,parity}/**/*.test.ts"],
    execArgv,
    // No test is about time: what hangs has to end, and what works may be slow on a busy machine.
    testTimeout: 400_000,
    // Counting lines costs several times what the lines do.
    env: process.argv.includes("--coverage") ? { PRONK_TEST_COUNTED: "1" } : {},
    coverage: {
      provider: "v8",
      include: COVERED.map((folder) => `src/${folder}/**/*.ts`),
      exclude: ["**/*.gen.ts"],
      reportsDirectory: ".cache/coverage",
      reporter: ["json", fileURLToPath(new URL("scripts/coverage-by-folder.cjs", import.meta.url))],
      thresholds: Object.fromEntries(
        COVERED.map((folder) => [`src/${folder}/**/*.ts`, { lines: LEAST_LINES }]),
      ),
    },
  },
});
export default config;
