import { defineConfig, type ViteUserConfig } from "vitest/config";

/** Real runtimes, one after the other: they share the machine's cores. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ["tests/{e2e,browser}/**/*.test.ts"],
    fileParallelism: false,
    // What hangs ends; what takes two minutes may take ten where others compute, too.
    testTimeout: 800_000,
    hookTimeout: 400_000,
  },
});
export default config;
