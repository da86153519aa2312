// The kernels' table of docs/kernels.md: kernels.mjs in every runtime, one after the other.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { findRuntime } from "../../dist/src/cli/runtimes.js";
import { kernelTables } from "./kernels-report.mjs";
import { describeMachine, pinnedCore } from "./machine.mjs";
import { writeSection } from "./page.mjs";

/** A run takes about a minute. */
const LIMIT_MS = 5 * 60_000;

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Measures in this Node, the newer one (at each width of vectors), Deno and Bun, and writes the section. */
export function writeKernels() {
  execFileSync(process.execPath, [here("../runtimes.mjs")], { stdio: "ignore" });
  const newer = findRuntime("node");
  const programs = [
    ["Node", newer, [], "auto"],
    ["Node", newer, [], "128"],
    ["Deno", findRuntime("deno"), ["run", "-A"], "128"],
    ["Bun", findRuntime("bun"), ["run"], "128"],
    ["Node", process.execPath, [], "auto"],
  ];
  const core = pinnedCore();
  const run = (program, args, pin = []) => {
    const [file, ...rest] = [...pin, program, ...args];
    return execFileSync(file, rest, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      timeout: LIMIT_MS,
    });
  };
  const pin = core === undefined ? [] : ["taskset", "-c", `${core}`];
  const runtimes = new Map();
  const measured = new Set();
  for (const [name, program, args, width] of programs) {
    const [version] = /\d+\.\d+\.\d+/.exec(run(program, ["--version"]));
    // The Node that runs this may be the newer one itself.
    if (measured.has(`${name} ${version} ${width}`)) continue;
    measured.add(`${name} ${version} ${width}`);
    process.stderr.write(`${name} ${version}, vectors: ${width}\n`);
    const out = run(
      program,
      [...args, here("./kernels.mjs"), "--json", "--simd-width", width],
      pin,
    );
    const { bits, ...figures } = JSON.parse(out);
    const title = `${name} ${version}${bits > 128 ? `, ${bits} bits` : ""}`;
    // Where "auto" is 128 there is one width.
    runtimes.set(title, { runtime: title, ...figures });
  }
  const document = {
    machine: describeMachine(),
    core: core ?? null,
    date: new Date().toISOString().slice(0, 10),
    runtimes: [...runtimes.values()],
  };
  process.stderr.write(`written: ${writeSection("kernels", document).join(", ")}\n`);
  process.stdout.write(`${kernelTables(document)}\n`);
}
