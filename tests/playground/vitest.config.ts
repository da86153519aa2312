import { defineConfig, type ViteUserConfig } from "vitest/config";

/** One build, one server, one browser for all of them; one page at a time, as the model takes the cores. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ["tests/playground/**/*.test.ts"],
    globalSetup: ["tests/playground/global-setup.ts"],
    fileParallelism: false,
    testTimeout: 240_000,
    hookTimeout: 240_000,
    // What works may be slow on a busy machine.
    expect: { poll: { timeout: 20_000 } },
  },
});
export default config;
