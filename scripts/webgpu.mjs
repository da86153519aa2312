// Installs what the tests of the GPU backend need on a machine without a GPU, into .cache/webgpu:
// Dawn for Node and for Bun from npm, pinned, and lavapipe, Mesa's Vulkan driver for CPUs. A second
// run does nothing but try them.
//
//   node scripts/webgpu.mjs            one line a part: its name, version and place
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findLavapipe, vulkanEnvironment } from "./webgpu/lavapipe.mjs";

const cache = fileURLToPath(new URL("../.cache", import.meta.url));
mkdirSync(cache, { recursive: true });
// Its own place: what is written there names it, and a checkout may only link to it.
const folder = join(realpathSync(cache), "webgpu");
const packages = { webgpu: "0.6.2", "bun-webgpu": "0.1.7" };
const INSTALL_LIMIT_MS = 10 * 60_000;
const PROBE_LIMIT_MS = 60_000;

const packagePath = (name) => join(folder, "node_modules", name);
const installedVersion = (name) => {
  const manifest = join(packagePath(name), "package.json");
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined;
};

if (Object.entries(packages).some(([name, version]) => installedVersion(name) !== version)) {
  mkdirSync(folder, { recursive: true });
  const manifest = JSON.stringify({ private: true, dependencies: packages });
  writeFileSync(join(folder, "package.json"), manifest);
  execFileSync(
    "npm",
    ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"],
    { stdio: ["ignore", "ignore", "inherit"], timeout: INSTALL_LIMIT_MS },
  );
  // It has every system's binaries, 130 MB.
  const dist = join(packagePath("webgpu"), "dist");
  const own = `${process.platform}-${process.platform === "darwin" ? "universal" : process.arch}`;
  for (const name of readdirSync(dist).filter((name) => name !== own)) {
    rmSync(join(dist, name), { recursive: true });
  }
}

/** What Dawn says of the driver that a manifest names; undefined where it cannot use it. */
function adapterOf(driver) {
  const probe = fileURLToPath(new URL("./webgpu/probe.mjs", import.meta.url));
  try {
    const text = execFileSync(process.execPath, [probe, packagePath("webgpu")], {
      encoding: "utf8",
      env: { ...process.env, ...vulkanEnvironment(driver) },
      stdio: ["ignore", "pipe", "ignore"],
      timeout: PROBE_LIMIT_MS,
    });
    return JSON.parse(text).adapter;
  } catch {
    return undefined;
  }
}

try {
  const { adapter, ...driver } = findLavapipe(join(folder, "lavapipe"), adapterOf);
  writeFileSync(join(folder, "environment.json"), JSON.stringify(vulkanEnvironment(driver)));
  for (const name of Object.keys(packages)) {
    console.log(`${name} ${installedVersion(name)} ${packagePath(name)}`);
  }
  console.log(`lavapipe, ${adapter} ${driver.manifest}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
