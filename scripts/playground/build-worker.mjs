// The worker of the page whose model runs in the tab. By rolldown, not esbuild: what the worker always has is then six
// files of 96 KB, gzipped, where esbuild makes 27 of 108 KB, one for each set of parts that share a module.
import { readFile } from "node:fs/promises";
import { basename, dirname, extname, join, relative } from "node:path";

/** The first that rolldown runs on. The built package runs on older ones. */
const BUILDS_ON = "20.19";

const { rolldown } = await import("rolldown").catch((cause) => {
  const message = `building takes Node ${BUILDS_ON} or newer, and this is ${process.versions.node}`;
  throw new Error(message, { cause });
});

/** How the sources name a file beside them. */
const BESIDE = /new URL\(\s*"([^"]+)",\s*import\.meta\.url,?\s*\)/g;

/** @returns the worker's file, and what was bundled, as esbuild's metafiles say it. */
export async function buildWorker({ root, entry, outdir }) {
  const bundle = await open(root, entry, [ownFiles(root)]);
  const names = "[name]-[hash].js";
  const { output } = await bundle.write({
    dir: outdir,
    format: "esm",
    minify: true,
    comments: false,
    entryFileNames: names,
    chunkFileNames: names,
    assetFileNames: "[name]-[hash][extname]",
  });
  await bundle.close();
  const chunks = output.filter(({ type }) => type === "chunk");
  const modules = chunks.flatMap(({ moduleIds }) => moduleIds);
  const inputs = Object.fromEntries(modules.map((id) => [relative(root, id), {}]));
  return { fileName: chunks.find(({ isEntry }) => isEntry).fileName, metafile: { inputs } };
}

function open(cwd, input, plugins) {
  const resolve = { conditionNames: ["browser", "import"] };
  return rolldown({ cwd, input, platform: "browser", resolve, plugins, logLevel: "warn" });
}

/** Files that modules look for beside themselves (kernels, a thread's program) come along. */
function ownFiles(root) {
  return {
    name: "own-files",
    transform: {
      filter: { id: /[\\/]src[\\/]platform[\\/]browser[\\/].*\.ts$/ },
      async handler(code, id) {
        let text = "";
        let end = 0;
        for (const { 0: found, 1: name, index } of code.matchAll(BESIDE)) {
          // Written as from dist/src, where the build puts it: one folder deeper than src.
          const file = name.startsWith("../../../../") ? name.slice("../".length) : name;
          const path = join(dirname(id), file);
          const source = extname(path) === ".js" ? await program(root, path) : await readFile(path);
          const reference = this.emitFile({ type: "asset", name: basename(path), source });
          text += `${code.slice(end, index)}new URL(import.meta.ROLLUP_FILE_URL_${reference})`;
          end = index + found.length;
        }
        return text + code.slice(end);
      },
    },
  };
}

/** A program of its own, in one file. */
async function program(root, path) {
  const bundle = await open(root, path.replace(/\.js$/, ".ts"), []);
  const { output } = await bundle.generate({ format: "esm", minify: true, comments: false });
  await bundle.close();
  return output[0].code;
}
