// The documents into dist-docs, by `npm run docs`.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "vitepress";
import { writeApi } from "./api.mjs";
import { checkSite } from "./check.mjs";
import { root } from "./pages.mjs";
import { stage } from "./stage.mjs";

const pages = join(root, "site", "build", "pages");
rmSync(pages, { recursive: true, force: true });
rmSync(join(root, "dist-docs"), { recursive: true, force: true });
stage(pages);
await writeApi(join(pages, "reference", "api"));
await build(join(root, "site"));

const complaints = checkSite(join(root, "dist-docs"), process.env.DOCS_BASE || "/");
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
