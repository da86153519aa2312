import { defineConfig, type ViteUserConfig } from "vitest/config";

/** Of V8, for every test: .ci/run has kernels compiled for vectors of 256 bits. */
const execArgv = (process.env.PRONK_TEST_V8_FLAGS ?? "").split(" ").filter(Boolean);

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["tests/*.test.ts", "tests/{unit,conformance,parity}/**/*.test.ts"],
    execArgv,
    // No test is about time: what hangs has to end, and what works may be slow on a busy machine.
    testTimeout: 180_000,
  },
});
export default config;
