// Installs what checks the package as others will use it, pinned, from npm, into .cache/package-tools:
// too large, and too seldom needed, for development dependencies. A second run does nothing.
//
//   node scripts/package-tools.mjs
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../.cache/package-tools", import.meta.url));

const dependencies = {
  "@arethetypeswrong/cli": "0.18.5",
  publint: "0.3.25",
  // The oldest TypeScript that reads the declarations, as it reads Hono's.
  "typescript-5": "npm:typescript@5.7.3",
  webpack: "5.112.2",
  "webpack-cli": "6.0.1",
};

const isInstalled = ([name, version]) => {
  const manifest = join(folder, "node_modules", name, "package.json");
  if (!existsSync(manifest)) return false;
  return JSON.parse(readFileSync(manifest, "utf8")).version === version.split("@").at(-1);
};

if (!Object.entries(dependencies).every(isInstalled)) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
  execFileSync(
    "npm",
    ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"],
    { stdio: ["ignore", "ignore", "inherit"], timeout: 10 * 60_000 },
  );
}
console.log(folder);
