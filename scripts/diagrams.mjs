// Draws the pictures of docs/architecture.md and the guides into docs/diagrams: `node scripts/diagrams.mjs`.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isolate } from "./diagrams/isolate.mjs";
import { layers } from "./diagrams/layers.mjs";
import { loading } from "./diagrams/loading.mjs";
import { request } from "./diagrams/request.mjs";
import { stages } from "./diagrams/stages.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const measured = JSON.parse(readFileSync(join(root, "docs", "benchmarks.json"), "utf8"));

/** Each picture by its file's name. */
export const diagrams = () => ({
  "layers.svg": layers(),
  "request.svg": request(),
  "loading.svg": loading(),
  "isolate.svg": isolate(measured.isolate),
  "stages.svg": stages(),
});

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = join(root, "docs", "diagrams");
  mkdirSync(folder, { recursive: true });
  for (const [name, svg] of Object.entries(diagrams())) writeFileSync(join(folder, name), svg);
}
