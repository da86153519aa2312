/** Bundles a target with the process that runs it; for the self-test with a fault planted in the sources. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";
import type { PlantedFault } from "./target.ts";

/** @throws Error when the planted fault's text is not in its file exactly once. */
export async function bundleTarget(
  name: string,
  outfile: string,
  planted?: PlantedFault,
): Promise<void> {
  const contents = `import { main } from "./child.ts";
    import { target } from "./targets/${name}.ts";
    await main(target);`;
  await build({
    stdin: { contents, resolveDir: "tests/fuzz", loader: "ts" },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    sourcemap: "inline",
    inject: ["tests/fuzz/counted-arrays.ts"],
    plugins: [sources(planted)],
    // Some packages are in CommonJS.
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
    },
    logLevel: "error",
  });
}

/** The target's own word on its fault, without running it. */
export async function plantedFault(name: string, outfile: string): Promise<PlantedFault> {
  const contents = `export { target } from "./targets/${name}.ts";`;
  await build({
    stdin: { contents, resolveDir: "tests/fuzz", loader: "ts" },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    plugins: [sources()],
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
    },
    logLevel: "error",
  });
  return (await import(pathToFileURL(resolve(outfile)).href)).target.planted;
}

/** Modules find what lies beside them where their source is. */
function sources(planted?: PlantedFault): Plugin {
  return {
    name: "sources",
    setup({ onLoad, onEnd }) {
      let isPlanted = planted === undefined;
      onLoad({ filter: /[\\/](?:src|tests)[\\/].*\.ts$/ }, ({ path }) => {
        let contents = readFileSync(path, "utf8");
        if (planted && path === resolve(planted.file)) {
          const parts = contents.split(planted.find);
          if (parts.length !== 2) {
            throw new Error(`${planted.file} has ${parts.length - 1} times: ${planted.find}`);
          }
          contents = parts.join(planted.replace);
          isPlanted = true;
        }
        const url = JSON.stringify(pathToFileURL(path).href);
        return { contents: contents.replaceAll(/\bimport\.meta\.url\b/g, url), loader: "ts" };
      });
      onEnd(() => {
        if (!isPlanted) throw new Error(`${planted?.file} is no part of the target`);
      });
    },
  };
}
