import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["tests/*.test.ts", "tests/{unit,conformance,parity}/**/*.test.ts"],
    testTimeout: 30_000,
  },
});
export default config;
