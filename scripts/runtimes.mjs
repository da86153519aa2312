// Installs the runtimes that tests and `pronk hash --runtime all` use beside the Node at hand: a
// newer Node, Deno and Bun, pinned, from npm, into .cache/runtimes. A second run does nothing.
//
//   node scripts/runtimes.mjs          one line a runtime: its name, version and program
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runtimePackage, runtimesFolder } from "../dist/src/cli/runtimes.js";

const folder = runtimesFolder();
const packages = ["node", "deno", "bun"].map((runtime) => {
  const found = runtimePackage(runtime);
  if (!found) throw new Error(`${runtime}: no package for ${process.platform} ${process.arch}`);
  return { runtime, ...found };
});

const installedVersion = (name) => {
  const manifest = join(folder, "node_modules", name, "package.json");
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined;
};

if (packages.some(({ name, version }) => installedVersion(name) !== version)) {
  mkdirSync(folder, { recursive: true });
  const dependencies = Object.fromEntries(packages.map(({ name, version }) => [name, version]));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
  execFileSync(
    "npm",
    ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"],
    {
      stdio: ["ignore", "ignore", "inherit"],
      timeout: 10 * 60_000,
    },
  );
}

for (const { runtime, name, program } of packages) {
  const path = join(folder, "node_modules", name, program);
  const version = execFileSync(path, ["--version"], { encoding: "utf8", timeout: 60_000 });
  console.log(`${runtime} ${version.split("\n")[0]} ${path}`);
}
