import { defineConfig, type ViteUserConfig } from "vitest/config";

/** On a CPU that plays a GPU. Most of the time its driver compiles, on one core: so two files at a time. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: [
      "tests/webgpu/**/*.test.ts",
      "tests/conformance/{ops,adapters,choices,saved-cache,states,masks,observe,long-contexts,random-configs}.test.ts",
      "tests/parity/{gguf-logits,hf-models}.test.ts",
    ],
    maxWorkers: 2,
    testTimeout: 700_000,
    hookTimeout: 180_000,
  },
});
export default config;
