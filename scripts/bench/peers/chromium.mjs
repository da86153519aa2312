// pronk's browser entry in headless Chromium, bundled as a page would have it.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { pageContender, textOf } from "../browser/page-contender.mjs";
import { ourFacts } from "./pronk.mjs";

export async function contenders({ root, pack, manifest, chatIds, reps }) {
  const folder = join(root, ".cache", "bench-peers", "chromium");
  mkdirSync(folder, { recursive: true });
  const bundle = join(folder, "pronk.js");
  await build({
    entryPoints: [join(root, "dist", "src", "platform", "browser", "index.js")],
    bundle: true,
    minify: true,
    format: "esm",
    outfile: bundle,
    logLevel: "error",
  });
  return [
    pageContender(
      { name: "pronk in Chromium", ...ourFacts(root, manifest) },
      {
        root,
        reps,
        chat: { ids: chatIds, text: textOf(root, pack, chatIds) },
        page: fileURLToPath(new URL("./chromium/", import.meta.url)),
        mounts: {
          // The kernels lie where the entry looks for them from the root of a site.
          "/pronk.js": bundle,
          "/wasm/": join(root, "wasm"),
          "/pack/": pack,
        },
        options: { pack: "/pack" },
      },
    ),
  ];
}
