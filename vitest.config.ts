import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/*.test.ts", "tests/{unit,conformance,parity}/**/*.test.ts"],
    testTimeout: 30_000,
  },
});
