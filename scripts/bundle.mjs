// The last step of the build: puts the command into few files, in place of dist/src/cli/main.js.
//
//   node scripts/bundle.mjs          after tsc has written dist
//
// Finding, reading and linking a module costs Node about 0.4 ms, and a command needs a hundred of
// them. What a command loads on demand stays a file of its own, packages stay where npm puts them.
// Everything else in dist stays as it is: programs that import pronk have bundlers of their own.
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const outdir = join(root, "dist", "src");

/** Beside cli/, so that from everywhere in the bundle dist/src is one folder up. */
const CHUNKS = "bundle";

/** A module looks for the files beside it (kernels, workers' programs) where tsc has put it. */
const keepLocations = {
  name: "keep-locations",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
      const place = relative(join(root, "src"), path).split(sep).join("/").replace(/ts$/, "js");
      const url = `new URL("../${place}", import.meta.url).href`;
      const contents = readFileSync(path, "utf8").replaceAll(/\bimport\.meta\.url\b/g, url);
      return { contents, loader: "ts" };
    });
  },
};

rmSync(join(outdir, CHUNKS), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: ["src/cli/main.ts"],
  outbase: "src",
  outdir,
  chunkNames: `${CHUNKS}/[name]-[hash]`,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "neutral",
  packages: "external",
  external: ["node:*"],
  target: "es2023",
  // Half the memory of the text: less of it, and of one byte a character.
  minify: true,
  charset: "ascii",
  logLevel: "warning",
  plugins: [keepLocations],
});
chmodSync(join(outdir, "cli", "main.js"), 0o755);
