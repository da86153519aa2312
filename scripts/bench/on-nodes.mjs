// A bench of one process, pinned to a core, on this Node and on the newer one that scripts/runtimes.mjs installs.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { findRuntime } from "../../dist/src/cli/runtimes.js";
import { describeMachine, pinnedCore } from "./machine.mjs";

/** A run takes a minute or two. */
const LIMIT_MS = 10 * 60_000;

/**
 * The document of a bench: `{ machine, core, date, runs }`, each run what the script printed as JSON.
 *
 * @param script its URL; it is started with its own arguments and `--pinned`.
 * @param options `core`: to pin to; `all`: on both Nodes, else on this one.
 */
export function measureOnNodes(script, { core: asked, all = false }) {
  const core = pinnedCore(asked);
  const pin = core === undefined ? [] : ["taskset", "-c", `${core}`];
  const runs = new Map();
  for (const node of all ? [process.execPath, newerNode()] : [process.execPath]) {
    const [program, ...args] = [...pin, node];
    const out = execFileSync(
      program,
      [...args, fileURLToPath(script), ...process.argv.slice(2), "--pinned"],
      { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], timeout: LIMIT_MS },
    );
    const run = JSON.parse(out);
    // The Node that runs this may be the newer one itself.
    runs.set(run.runtime, run);
  }
  return {
    machine: describeMachine(),
    core: core ?? null,
    date: new Date().toISOString().slice(0, 10),
    runs: [...runs.values()],
  };
}

function newerNode() {
  const install = fileURLToPath(new URL("../runtimes.mjs", import.meta.url));
  execFileSync(process.execPath, [install], { stdio: "ignore", timeout: LIMIT_MS });
  return findRuntime("node");
}

/** The machine, the core and the Nodes of a document, as one sentence. */
export function nodesText({ machine, core, date, runs }) {
  const flag = { true: "avx_vnni", false: "no avx_vnni" }[machine.avx_vnni] ?? "avx_vnni unknown";
  const where = core === null ? "not pinned: no taskset" : `pinned to core ${core}`;
  const nodes = runs.map(({ runtime, kernel_reason }) => `${runtime}: kernels ${kernel_reason}`);
  return (
    `${machine.cpu} (${flag}), ${machine.cores} cores, ${machine.system}; ${where}. ${runs[0].model}, ` +
    `rounds: ${runs[0].rounds}; ${date}. ${nodes.join(". ")}.`
  );
}

/** The newest Node's run, and that of Node 20, by which bars are judged. */
export function roleOf({ runtime }, runs) {
  const major = (run) => Number(/\d+/.exec(run.runtime));
  if (major({ runtime }) === 20) return "Node 20";
  return runs.every((run) => major(run) <= major({ runtime })) ? "newest Node" : undefined;
}
