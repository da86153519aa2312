// The public entries of the package: what its exports name, and which source each is built from.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./pages.mjs";

/** Names of entries as they are imported, with the sources that they are built from; the first has what all share. */
export function publicEntries() {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const sourceOf = (built) => built.replace(/^\.\/dist\/(.*)\.js$/, "$1.ts");
  return Object.entries(exports)
    .map(([name, target]) => [name, typeof target === "string" ? target : target.node])
    .filter(([name, target]) => target?.startsWith("./dist/") && name !== "./node")
    .map(([name, target]) => ({ name: name.replace(/^\./, "pronk"), file: sourceOf(target) }));
}
