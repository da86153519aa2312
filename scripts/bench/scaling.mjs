// How cost grows with the model: synthetic Llama shapes of 15M to 3B parameters against what the core can do.
//
//   npm run bench -- scaling [NAME ...] [--rounds N] [--core N] [--node FILE] [--json] [--write] [--clean]
//
// NAME is 15m, 135m, 360m, 1b or 3b; default all. Random weights, made once into .cache/bench-scaling (3.4 GB in
// all; --clean removes them and ends). A round runs each shape once, in a process of its own, behind a process
// that measures the limits at its working set. --node is the Node that runs them; default: the newest that
// scripts/runtimes.mjs installs. --write keeps the raw figures in docs/benchmarks.json and makes the page's section.
import { execFileSync } from "node:child_process";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findRuntime } from "../../dist/src/cli/runtimes.js";
import { refuse, say } from "./comparison.mjs";
import { describeMachine, pinnedCore } from "./machine.mjs";
import { runMeasured } from "./measured-child.mjs";
import { writeSection } from "./page.mjs";
import { scalingTables, summarized } from "./scaling-report.mjs";
import { workOf } from "./scaling-work.mjs";
import { makeSyntheticPack } from "./synthetic-pack.mjs";
import { SHAPES } from "./synthetic-shapes.mjs";

/** For one process: the largest shape on a busy machine. */
const CHILD_LIMIT_MS = 180_000;

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = join(root, ".cache", "bench-scaling");
const script = (name) => fileURLToPath(new URL(`./${name}.mjs`, import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    core: { type: "string" },
    node: { type: "string" },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    clean: { type: "boolean", default: false },
  },
});
if (values.clean) {
  await rm(folder, { recursive: true, force: true });
  say(`removed: ${folder}`);
  process.exit();
}
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) refuse(`--rounds ${values.rounds}: not a count`);
const known = Object.keys(SHAPES);
const unknown = positionals.find((name) => !known.includes(name));
if (unknown) refuse(`${unknown}: no such shape; there are ${known.join(", ")}`);
const core = pinnedCore(values.core);
if (core === undefined && values.core !== undefined) {
  refuse(`--core ${values.core}: cannot pin to it`);
}

const node = values.node ?? newestNode();
const version = execFileSync(node, ["-p", "process.versions.node"], { encoding: "utf8" }).trim();
const shapes = [];
for (const name of known.filter((n) => positionals.length === 0 || positionals.includes(n))) {
  const { path, ...plan } = await makeSyntheticPack(name, folder, say);
  shapes.push({ path, facts: { name, like: plan.like, ...workOf(plan) }, rounds: [] });
}

say(core === undefined ? "not pinned: there is no taskset here" : `pinned to core ${core}`);
const run = async (what, args) => {
  const child = { label: what, program: node, args };
  const { out, waited } = await runMeasured(child, { core, limitMs: CHILD_LIMIT_MS });
  return { ...JSON.parse(out), waited };
};
for (let round = 0; round < rounds; round++) {
  for (const { path, facts, rounds: done } of shapes) {
    const { name, working_set, layer_form, prefill_tokens, decode_steps } = facts;
    const limits = await run(`limits of ${name}`, [
      script("scaling-limits"),
      `${working_set}`,
      layer_form,
    ]);
    await readFiles(path);
    const work = [path, `${prefill_tokens}`, `${decode_steps}`];
    const figures = await run(name, [script("scaling-child"), ...work]);
    done.push({ ...figures, limits });
    say(
      `round ${round + 1} of ${rounds}, ${name}: ${(figures.load_ms / 1000).toFixed(2)} s to load, ` +
        `prefill ${figures.prefill_tps.map((n) => n.toFixed(1)).join(" ")}, ` +
        `decode ${figures.decode_tps.map((n) => n.toFixed(1)).join(" ")} tok/s, ` +
        `${(figures.rss_bytes / 1e6).toFixed(0)} MB; ` +
        `limits ${limits.read_gbps.toFixed(1)} GB/s, ${limits.gemm_gops.toFixed(0)} GOP/s`,
    );
  }
}

const document = {
  machine: describeMachine(),
  core: core ?? null,
  date: new Date().toISOString().slice(0, 10),
  runtime: `Node ${version}`,
  rounds,
  shapes: shapes.map(({ facts, rounds }) => ({ ...facts, rounds })),
};
if (values.write) say(`written: ${writeSection("scaling", document).join(", ")}`);
process.stdout.write(
  values.json ? `${JSON.stringify(summarized(document))}\n` : `${scalingTables(document)}\n`,
);

/** So that the files are in the page cache. */
async function readFiles(path) {
  for (const name of await readdir(path)) await readFile(join(path, name));
}

function newestNode() {
  execFileSync(process.execPath, [join(root, "scripts", "runtimes.mjs")], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return findRuntime("node");
}
