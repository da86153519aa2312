/**
 * The pinned toolchain: emscripten 3.1.69 and binaryen 120 of Debian trixie, unpacked into .cache/emscripten
 * beside this system's own LLVM 19. Nothing but LLVM is installed system-wide. Debian bookworm, amd64.
 *
 * The mirror is the one that apt already uses; DEBIAN_MIRROR overrides it.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

const LLVM = "/usr/lib/llvm-19/bin";
/** A program of each package; emcc is written in Python. */
const SYSTEM_PACKAGES = {
  "clang-19": `${LLVM}/clang`,
  "lld-19": `${LLVM}/wasm-ld`,
  "llvm-19": `${LLVM}/llvm-ar`,
  python3: "/usr/bin/python3",
};
/** emscripten, and what its binaryen needs of a newer libc than bookworm's. */
const TRIXIE_PACKAGES = ["emscripten", "binaryen", "libc6", "libstdc++6", "libgcc-s1"];
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** Of emscripten: 1.5 GB of libraries that kernels without libc do not use, and its tests. */
const UNUSED = ["./usr/share/emscripten/cache/sysroot/lib/*", "./usr/share/emscripten/test/*"];

const output = (command, args, options) =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], ...options });

/** Finds or installs the toolchain: how to compile and to link, and the versions of its tools. */
export function findToolchain(root) {
  installSystemPackages();
  const folder = join(root, ".cache/emscripten");
  if (!existsSync(join(folder, "root"))) installEmscripten(folder);

  const emscripten = join(folder, "root/usr/share/emscripten");
  const libraries = join(folder, "root/usr/lib/x86_64-linux-gnu");
  const binaryen = join(folder, "binaryen");
  writeLaunchers(join(folder, "root/usr/bin"), libraries, join(binaryen, "bin"));
  const config = join(folder, "em_config");
  writeFileSync(
    config,
    `EMSCRIPTEN_ROOT = '${emscripten}'
LLVM_ROOT = '${LLVM}'
BINARYEN_ROOT = '${binaryen}'
NODE_JS = '${process.execPath}'
CACHE = '${join(emscripten, "cache")}'
FROZEN_CACHE = True
`,
  );
  const env = { EM_CONFIG: config };
  const emcc = join(emscripten, "emcc");
  const optimizer = join(binaryen, "bin/wasm-opt");
  return {
    emcc,
    linker: join(LLVM, "wasm-ld"),
    optimizer,
    env,
    versions: {
      emscripten: /\d+\.\d+\.\d+/.exec(
        output(emcc, ["--version"], { env: { ...process.env, ...env } }),
      )[0],
      clang: /\d+\.\d+\.\d+/.exec(output(join(LLVM, "clang"), ["--version"]))[0],
      lld: /\d+\.\d+\.\d+/.exec(output(join(LLVM, "wasm-ld"), ["--version"]))[0],
      binaryen: /\d+/.exec(output(optimizer, ["--version"]))[0],
    },
  };
}

function installSystemPackages() {
  const missing = Object.keys(SYSTEM_PACKAGES).filter((name) => !existsSync(SYSTEM_PACKAGES[name]));
  if (missing.length === 0) return;
  requireDebian();
  if (process.getuid() !== 0) {
    throw new Error(`missing packages: apt-get install ${missing.join(" ")}`);
  }
  console.log(`installing ${missing.join(", ")}`);
  output("apt-get", ["update"]);
  output("apt-get", ["install", "-y", "--no-install-recommends", ...missing]);
}

function requireDebian() {
  let architecture;
  try {
    architecture = output("dpkg", ["--print-architecture"]).trim();
  } catch {
    throw new Error("building the kernels needs a Debian system: no dpkg here");
  }
  if (architecture !== "amd64")
    throw new Error(`building the kernels needs Debian on amd64: found ${architecture}`);
}

/** Unpacks into a folder of its own first, so that `folder` is whole or absent, whoever else installs. */
function installEmscripten(folder) {
  requireDebian();
  const work = `${folder}-${process.pid}`;
  for (const part of ["lists/partial", "archives/partial", "root"])
    mkdirSync(join(work, part), { recursive: true });
  try {
    console.log("downloading emscripten and binaryen (245 MB)");
    const list = join(work, "trixie.list");
    writeFileSync(list, `deb [signed-by=${KEYRING}] ${debianMirror()} trixie main\n`);
    const options = [
      "Dir::Etc::sourceparts=/dev/null",
      `Dir::Etc::sourcelist=${list}`,
      `Dir::State::lists=${join(work, "lists")}`,
      `Dir::Cache=${work}`,
      "APT::Architecture=amd64",
      "APT::Sandbox::User=root",
    ].flatMap((option) => ["-o", option]);
    output("apt-get", [...options, "update"]);
    output("apt-get", [...options, "download", ...TRIXIE_PACKAGES], { cwd: work });
    const excluded = UNUSED.map((path) => `--exclude='${path}'`).join(" ");
    for (const archive of readdirSync(work).filter((file) => file.endsWith(".deb"))) {
      output("sh", ["-c", `dpkg-deb --fsys-tarfile '${archive}' | tar -x -C root ${excluded}`], {
        cwd: work,
      });
    }
    mkdirSync(folder, { recursive: true });
    if (!existsSync(join(folder, "root"))) renameSync(join(work, "root"), join(folder, "root"));
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** The Debian mirror in apt's sources, in either of their two formats. */
function debianMirror() {
  if (process.env.DEBIAN_MIRROR) return process.env.DEBIAN_MIRROR;
  const folder = "/etc/apt/sources.list.d";
  const files = [
    "/etc/apt/sources.list",
    ...(existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : []),
  ].filter((file) => /\.(list|sources)$/.test(file) && existsSync(file));
  for (const file of files) {
    for (const line of readFileSync(file, "utf8").split("\n")) {
      const words = line.split(/\s+/);
      if (words[0] !== "deb" && words[0] !== "URIs:") continue;
      const mirror = words.find((word) => /^[a-z+]+:.*\/debian\/?$/.test(word));
      if (mirror) return mirror;
    }
  }
  throw new Error("no Debian mirror in apt's sources: set DEBIAN_MIRROR");
}

/** Starts trixie's binaryen through its own loader, with its own libraries. */
function writeLaunchers(programs, libraries, target) {
  mkdirSync(target, { recursive: true });
  for (const program of readdirSync(programs).filter((name) => name.startsWith("wasm"))) {
    const path = join(target, program);
    const loader = join(libraries, "ld-linux-x86-64.so.2");
    writeFileSync(
      path,
      `#!/bin/sh\nexec "${loader}" --library-path "${libraries}" "${join(programs, program)}" "$@"\n`,
    );
    chmodSync(path, 0o755);
  }
}
