/**
 * Compiles wasm/*.c three times, for relaxed SIMD, for plain SIMD128, and for engines that join relaxed SIMD's
 * vectors to 256 bits, and links each module.
 *
 * emcc's own link step gives a memory import a maximum, which a memory of exactly the model's size would
 * have to declare as well: so the linker and then wasm-opt -O1 run as emcc would run them. Never
 * wasm-opt -O2 or more: -O3 cost the GEMV a third of its speed, -Oz a fifth.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const COMPILE = [
  "-O2",
  "-fno-vectorize", // vectors and unrolling are written by hand: the compiler's only add bytes
  "-fno-slp-vectorize",
  "-fno-unroll-loops",
  "-ffreestanding",
  "-fno-strict-aliasing", // memory is read as the type that lies there
  "-fno-math-errno", // sqrtf is one instruction
  "-ffp-contract=off", // a fused multiply-add would give other bits than a product and a sum
  "-msimd128",
  "-mbulk-memory", // copies and fills without libc
  "-Wall",
  "-Wextra",
  "-Werror",
];

const LINK = [
  "--no-entry",
  "--strip-all",
  "--stack-first", // an overflow traps instead of reaching the data
  "-z",
  "stack-size=65536",
  "--import-memory",
  "--export=__heap_base",
];

const OPTIMIZE = ["-O1", "--enable-simd", "--enable-relaxed-simd", "--enable-bulk-memory"];

const MODULES = [
  { name: "relaxed", flags: ["-mrelaxed-simd", "-DRELAXED=1"] },
  { name: "plain", flags: ["-DRELAXED=0"] },
  { name: "wide", flags: ["-mrelaxed-simd", "-DRELAXED=1", "-DWIDE=1"] },
];

/** Writes relaxed.wasm, plain.wasm and wide.wasm to `target`. */
export function buildModules(toolchain, sources, target) {
  const objects = mkdtempSync(join(tmpdir(), "pronk-wasm-"));
  const run = (command, args) => {
    try {
      const env = { ...process.env, ...toolchain.env };
      execFileSync(command, args, { cwd: sources, env, stdio: ["ignore", "pipe", "pipe"] });
    } catch (error) {
      throw new Error(`${command} ${args.join(" ")}\n${error.stderr || error.message}`);
    }
  };
  try {
    const files = readdirSync(sources).filter((file) => file.endsWith(".c"));
    for (const { name, flags } of MODULES) {
      const built = files.sort().map((file) => {
        const object = join(objects, `${name}-${file}.o`);
        run(toolchain.emcc, [...COMPILE, ...flags, "-c", file, "-o", object]);
        return object;
      });
      const linked = join(objects, `${name}.wasm`);
      run(toolchain.linker, [...LINK, ...built, "-o", linked]);
      run(toolchain.optimizer, [...OPTIMIZE, linked, "-o", join(target, `${name}.wasm`)]);
    }
  } finally {
    rmSync(objects, { recursive: true });
  }
}
