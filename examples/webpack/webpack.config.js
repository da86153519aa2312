import { fileURLToPath } from "node:url";

export default {
  mode: "production",
  // webpack finds the package's .wasm files and its thread by itself.
  entry: { main: "./src/main.js" },
  output: {
    path: fileURLToPath(new URL("public/assets", import.meta.url)),
    filename: "[name].js",
    chunkFilename: "[name].js",
    module: true,
    clean: true,
  },
  experiments: { outputModule: true },
  performance: { hints: false },
};
