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

/** Measures in this Node, the newer one, Deno and Bun, and writes the section. */
export function writeKernels() {
  execFileSync(process.execPath, [here("../runtimes.mjs")], { stdio: "ignore" });
  const programs = [
    ["Node", findRuntime("node"), []],
    ["Deno", findRuntime("deno"), ["run", "-A"]],
    ["Bun", findRuntime("bun"), ["run"]],
    ["Node", process.execPath, []],
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
  for (const [name, program, args] of programs) {
    const [version] = /\d+\.\d+\.\d+/.exec(run(program, ["--version"]));
    const title = `${name} ${version}`;
    // The Node that runs this may be the newer one itself.
    if (runtimes.has(title)) continue;
    process.stderr.write(`${title}\n`);
    const out = run(program, [...args, here("./kernels.mjs"), "--json"], pin);
    runtimes.set(title, { runtime: title, ...JSON.parse(out) });
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
