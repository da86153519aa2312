// Chromium: found on this machine, or installed from Debian's packages.
import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const PROGRAMS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const PACKAGE = "chromium";
const UPDATE_LIMIT_MS = 5 * 60_000;
const INSTALL_LIMIT_MS = 10 * 60_000;

/**
 * The program: PRONK_CHROMIUM, else one of the usual names on PATH, else what apt-get installs,
 * where this runs as root and apt-get is there.
 *
 * @throws Error saying in one line which package is missing.
 */
export function findChromium() {
  const found = process.env.PRONK_CHROMIUM || onPath();
  if (found) return found;
  const isRoot = process.getuid?.() === 0;
  const hasApt = spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status === 0;
  if (isRoot && hasApt) {
    process.stderr.write(`browser: apt-get installs ${PACKAGE}\n`);
    aptGet(["update", "-qq"], UPDATE_LIMIT_MS);
    aptGet(["install", "-qq", "-y", "--no-install-recommends", PACKAGE], INSTALL_LIMIT_MS);
    const installed = onPath();
    if (installed) return installed;
  }
  throw new Error(
    `browser: no Chromium on PATH; install the package ${PACKAGE}, or name the program by PRONK_CHROMIUM`,
  );
}

/** `156.0.8078.79`. */
export function chromiumVersion(program) {
  const text = execFileSync(program, ["--version", ...rootFlags()], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    timeout: 60_000,
  });
  return /\d+(\.\d+)+/.exec(text)?.[0] ?? text.trim();
}

/** The sandbox refuses to work for root. */
export function rootFlags() {
  return process.getuid?.() === 0 ? ["--no-sandbox"] : [];
}

function onPath() {
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  return PROGRAMS.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function aptGet(args, timeout) {
  execFileSync("apt-get", args, {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "ignore", "inherit"],
    timeout,
  });
}
