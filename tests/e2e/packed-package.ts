/** The package as npm would have it, unpacked where nothing of this repository is found by accident. */
import { execFileSync } from "node:child_process";
import { readdirSync, symlinkSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../src/cli/runtimes.ts";

export interface PackedPackage {
  /** Holds package.json. */
  readonly path: string;
  /** The file itself. */
  readonly tarball: string;
  remove(): Promise<void>;
}

/** With what it depends on beside it. */
export async function packPackage(): Promise<PackedPackage> {
  const root = packageRoot();
  const folder = await mkdtemp(join(tmpdir(), "pronk-package-"));
  const run = (program: string, args: readonly string[], cwd: string): void => {
    execFileSync(program, args, { cwd, timeout: 330_000, stdio: ["ignore", "ignore", "pipe"] });
  };
  run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], root);
  const [tarball = ""] = readdirSync(folder);
  run("tar", ["-xzf", tarball], folder);
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return {
    path: join(folder, "package"),
    tarball: join(folder, tarball),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
