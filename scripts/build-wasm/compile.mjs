/**
 * Compiles wasm/*.c twice, for relaxed and for plain SIMD128, and links each module.
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
  "-fno-math-errno", // sqrtf is one instruction
  "-ffp-contract=off", // a fused multiply-add would give other bits than a product and a sum
  "-msimd128",
  "-mbulk-memory", // copies and fills without libc
  "-Wall",
  "-Wextra",
  "-Werror",
];
const MODULES = [
  { name: "relaxed", flags: ["-mrelaxed-simd", "-DRELAXED=1"] },
  { name: "plain", flags: ["-DRELAXED=0"] },
];

/** Writes relaxed.wasm and plain.wasm to `target`. */
export function buildModules(toolchain, sources, target) {
  const objects = mkdtempSync(join(tmpdir(), "pronk-wasm-"));
  try {
    const files = readdirSync(sources)
      .filter((file) => file.endsWith(".c"))
      .sort();
    for (const { name, flags } of MODULES) {
      const built = files.map((file) => {
        const object = join(objects, `${name}-${file}.o`);
        run(
          toolchain.compile,
          [...COMPILE, ...flags, "-c", file, "-o", object],
          sources,
          toolchain.env,
        );
        return object;
      });
      run(toolchain.link, [...built, "-o", join(target, `${name}.wasm`)], sources, toolchain.env);
    }
  } finally {
    rmSync(objects, { recursive: true });
  }
}

function run([command, ...flags], args, cwd, env) {
  try {
    execFileSync(command, [...flags, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    throw new Error(`${command} ${args.at(-3)}: ${error.stderr || error.message}`);
  }
}
