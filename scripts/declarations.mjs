// Part of the build: declarations name each other as .js, as the modules beside them do.
//
//   node scripts/declarations.mjs    after tsc has written dist
//
// tsc leaves the sources' .ts there, for which it finds the .d.ts by itself; Deno does not.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../dist", import.meta.url));

for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".d.ts")) continue;
  const path = join(dist, name);
  const text = readFileSync(path, "utf8");
  const renamed = text.replaceAll(
    /\b(from\s+|import\s+|import\(\s*)"(\.[^"]+)\.ts"/g,
    (_, before, target) => `${before}"${target}.js"`,
  );
  if (renamed !== text) writeFileSync(path, renamed);
}
