// The documents as a site, in dist-docs.
//
//   npm run docs               DOCS_BASE: the path that it will be served below, "/" by default
//
// Its tools are a package of their own: `npm ci --prefix site`, once; after that no network is needed. Fails on a link or
// an anchor that leads nowhere, on anything that a page would ask of another host, and on inline scripts and styles.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const site = fileURLToPath(new URL("../site", import.meta.url));
if (!existsSync(join(site, "node_modules", "vitepress"))) {
  console.error("docs: the site's tools are not installed: npm ci --prefix site");
  process.exit(1);
}
await import("../site/build.mjs");
