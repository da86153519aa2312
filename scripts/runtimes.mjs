// Installs the runtimes that tests and `pronk hash --runtime all` use beside the Node at hand: a
// newer Node, Deno and Bun, pinned, from npm, into .cache/runtimes; and a workerd that is newer than Miniflare's, which
// spins in V8's sweeper while many stages load. A second run does nothing.
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
const system = process.platform === "win32" ? "windows" : process.platform;
const workerd = {
  name: `@cloudflare/workerd-${system}-${process.arch === "arm64" ? "arm64" : "64"}`,
  version: "1.20261117.1",
};
const wanted = [...packages, workerd];

const installedVersion = (name) => {
  const manifest = join(folder, "node_modules", name, "package.json");
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined;
};

if (wanted.some(({ name, version }) => installedVersion(name) !== version)) {
  mkdirSync(folder, { recursive: true });
  const dependencies = Object.fromEntries(wanted.map(({ name, version }) => [name, version]));
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
