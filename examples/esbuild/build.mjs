import { copyFileSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const outdir = "public/assets";
const fileOf = (name) => fileURLToPath(import.meta.resolve(name));

/** The package looks for files beside its modules; in the bundle they are beside the scripts. */
const filesBeside = {
  name: "files-beside",
  setup({ onLoad }) {
    onLoad(
      { filter: /[\\/]pronk[\\/]dist[\\/]src[\\/]platform[\\/]browser[\\/]/ },
      async ({ path }) => {
        const text = await readFile(path, "utf8");
        const folder = /(?<=new URL\(")[^"]*\/(?=[^"/]+", import\.meta\.url)/g;
        return { contents: text.replace(folder, "./") };
      },
    );
  },
};

rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: {
    main: "src/main.ts",
    thread: fileURLToPath(new URL("../thread.js", import.meta.resolve("pronk/browser"))),
  },
  outdir,
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  logLevel: "info",
  plugins: [filesBeside],
});
for (const name of ["plain.wasm", "relaxed.wasm"]) {
  copyFileSync(fileOf(`pronk/kernels/${name}`), `${outdir}/${name}`);
}
