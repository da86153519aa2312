// Mesa's Vulkan driver for CPUs, new enough for Dawn (22.3 is not, 25.0 is): the system's own, else
// unpacked from Debian's or Ubuntu's packages beside the system, which stays as it is.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const MANIFESTS = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
const PACKAGE = "mesa-vulkan-drivers";

/** Dawn opens the loader by name; Mesa's driver needs it anyhow. */
const LOADER = "libvulkan1";

/** Releases whose own Mesa is too old, and where a newer one is. */
const BACKPORTS = { bookworm: "bookworm-backports" };

const APT_LIMIT_MS = 5 * 60_000;

/** Variables with which a process sees this driver and no other. */
export function vulkanEnvironment({ manifest, libraries }) {
  const path = [libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(":");
  return {
    VK_DRIVER_FILES: manifest,
    // Its name before the loader's version 1.3.207.
    VK_ICD_FILENAMES: manifest,
    ...(libraries && { LD_LIBRARY_PATH: path }),
    // Half as wide as it would take, so that tiled products compile in half the time: seconds each.
    LP_NATIVE_VECTOR_WIDTH: "128",
    // Mesa's window systems ask for it, though none is used.
    XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR || "/tmp",
  };
}

/**
 * @param adapterOf says what computes with a driver, undefined for one that does not
 * @returns `manifest`; `libraries`, a folder, where it is not the system's; `adapter`
 * @throws Error saying in one line which package is missing.
 */
export function findLavapipe(folder, adapterOf) {
  for (const driver of [unpacked(folder), ...systemDrivers()]) {
    const adapter = driver && adapterOf(driver);
    if (adapter?.includes("llvmpipe")) return { ...driver, adapter };
  }
  const why = unpackPackages(folder);
  const driver = unpacked(folder);
  const adapter = driver && adapterOf(driver);
  if (adapter?.includes("llvmpipe")) return { ...driver, adapter };
  const advice = `install the package ${PACKAGE} (Mesa 25 or newer) and ${LOADER}`;
  throw new Error(`webgpu: no lavapipe that Dawn can use: ${why}; ${advice}`);
}

function systemDrivers() {
  return MANIFESTS.filter((path) => existsSync(path)).flatMap((path) =>
    readdirSync(path)
      .filter((name) => name.startsWith("lvp_icd"))
      .map((name) => ({ manifest: join(path, name) })),
  );
}

/** Where a run before has put it. */
function unpacked(folder) {
  const manifest = join(folder, "lvp_icd.json");
  if (!existsSync(manifest)) return undefined;
  const { ICD } = JSON.parse(readFileSync(manifest, "utf8"));
  return { manifest, libraries: ICD.library_path.slice(0, ICD.library_path.lastIndexOf("/")) };
}

/** @returns why there is none, should there be none afterwards */
function unpackPackages(folder) {
  if (spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status !== 0) {
    return "there is no apt-get to get it by";
  }
  rmSync(folder, { recursive: true, force: true });
  const work = join(folder, "apt");
  for (const path of ["lists/partial", "cache/archives/partial"]) {
    mkdirSync(join(work, path), { recursive: true });
  }
  const sources = aptSources();
  writeFileSync(join(work, "sources.list"), sources.lines.join("\n"));
  const options = {
    "Dir::Etc::sourcelist": join(work, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::State::lists": join(work, "lists"),
    "Dir::Cache": join(work, "cache"),
    // Nothing is installed: no lock, no root.
    "Debug::NoLocking": "1",
    "APT::Sandbox::User": process.getuid() === 0 ? "root" : "",
  };
  const all = Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  try {
    run("apt-get", [...all, "-qq", "update"]);
    const wanted = sources.release ? `${PACKAGE}/${sources.release}` : PACKAGE;
    const how = ["--download-only", "--no-install-recommends", "--reinstall"];
    run("apt-get", [...all, "-qq", "-y", "install", ...how, wanted, LOADER]);
    const archives = join(work, "cache", "archives");
    for (const name of readdirSync(archives).filter((name) => name.endsWith(".deb"))) {
      run("dpkg", ["-x", join(archives, name), folder]);
    }
  } catch (error) {
    return String(error.stderr || error.message)
      .trim()
      .split("\n")
      .at(-1);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const library = readdirSync(folder, { recursive: true }).find((name) =>
    name.endsWith("/libvulkan_lvp.so"),
  );
  if (!library) return `${PACKAGE} of this system has none`;
  const ICD = { api_version: "1.3.0", library_path: join(folder, library) };
  const manifest = { file_format_version: "1.0.0", ICD };
  writeFileSync(join(folder, "lvp_icd.json"), JSON.stringify(manifest));
  return "Dawn refuses the one of this system's packages";
}

/** The system's own, and its backports where it needs them. */
function aptSources() {
  const form = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
  const text = run("apt-get", ["indextargets", "--format", form, "Created-By: Packages"]);
  const targets = [...new Set(text.split("\n").filter(Boolean))];
  const lines = targets.map((target) => `deb ${target}`);
  for (const target of targets) {
    const [uri, release, component] = target.split(" ");
    const backports = BACKPORTS[release];
    if (backports && component === "main") {
      return { lines: [...lines, `deb ${uri} ${backports} main`], release: backports };
    }
  }
  return { lines };
}

function run(program, args) {
  return execFileSync(program, args, {
    encoding: "utf8",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: APT_LIMIT_MS,
  });
}
