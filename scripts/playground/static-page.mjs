// The page whose model runs in the tab: its worker, its service worker, and the headers that a host should send.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { build } from "esbuild";
import { PLAYGROUND_POLICY } from "../../dist/src/server/playground/policy.js";
import { buildWorker } from "./build-worker.mjs";
import { firstLoad } from "./first-load.mjs";
import { headersFile } from "./headers-file.mjs";

/**
 * @param common options of every build
 * @param buildPage builds the page itself: what it finds values under, and what else was bundled
 */
export async function buildStaticPage({ folder, assets, common, buildPage }) {
  const outdir = join(folder, assets);
  const entry = "workers/browser/tab-worker.ts";
  const root = common.absWorkingDir;
  const { fileName, metafile } = await buildWorker({ root, entry, outdir });
  await buildPage({ PRONK_TAB_WORKER: JSON.stringify(`./${fileName}`) }, [metafile]);

  const page = join(folder, "index.html");
  // For hosts that send none; there it cannot say who may frame the page.
  const policy = PLAYGROUND_POLICY.replace(/; frame-ancestors [^;]+/, "");
  const meta = `<meta http-equiv="Content-Security-Policy" content="${policy}">`;
  writeFileSync(page, readFileSync(page, "utf8").replace(/<meta charset[^>]*>\n/, `$&${meta}\n`));
  mkdirSync(folder, { recursive: true });
  const files = filesIn(folder).filter((name) => !/\.LEGAL\.txt$/.test(name));
  const hashed = files.map((name) => [name, sha256(readFileSync(join(folder, name)))]);
  const version = sha256(JSON.stringify(hashed)).slice(0, 16);
  await build({
    ...common,
    entryPoints: ["workers/browser/service-worker.ts"],
    // Always the same name: browsers compare what it holds.
    entryNames: "[name]",
    outdir: folder,
    splitting: false,
    format: "iife",
    legalComments: "none",
    define: {
      PRONK_VERSION: JSON.stringify(version),
      PRONK_FILES: JSON.stringify(files.map((name) => (name === "index.html" ? "./" : name))),
    },
  });
  const { bytes, parts } = firstLoad(folder);
  const list = Object.entries(parts).map(([part, size]) => `${part} ${kilobytes(size)}`);
  console.log(`playground: first load ${kilobytes(bytes)} gzipped (${list.join(", ")})`);
  writeFileSync(join(folder, "_headers"), headersFile([`/${assets}/*`, "/models/*.bin"]));
}

const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}
