import { defineConfig } from "vite";

export default defineConfig({
  // It fetches its .wasm files from beside its modules, which pre-bundling would take them from.
  optimizeDeps: { exclude: ["pronk"] },
  // Several threads need memory that is shared; pages elsewhere need these headers, too.
  server: {
    headers: {
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    },
  },
  worker: { format: "es" },
});
