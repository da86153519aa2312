// pronk beside what one would use instead: the same model file, work, core and run.
//
//   npm run bench -- peers [NAME ...] [--rounds N] [--reps N] [--core N] [--model FILE] [--json] [--write]
//
// Every contender of scripts/bench/peers is a child process that does the work of `pronk bench` and
// prints its document. A round runs each of them once, so that what the machine does meanwhile hits
// all alike; the order turns from round to round. --write puts the tables into docs/benchmarks.md.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, parse } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { COLD_QUESTION } from "../../dist/src/cli/bench-workload.js";
import { describeMachine, pinnedCore } from "./machine.mjs";
import { runMeasured } from "./measured-child.mjs";
import { ratiosOf, replaceSection, resultTables, summaryOf } from "./report.mjs";

const MODEL = "smollm2-135m-instruct";

/** For one contender in one round: loading twice, and every repetition on a busy machine. */
const CHILD_LIMIT_MS = 60_000;
const REP_LIMIT_MS = 60_000;

const root = fileURLToPath(new URL("../..", import.meta.url));
const pronk = join(root, "dist", "src", "cli", "main.js");
const say = (line) => process.stderr.write(`${line}\n`);
const refuse = (what) => {
  say(`bench: ${what}`);
  process.exit(2);
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    reps: { type: "string", default: "3" },
    core: { type: "string" },
    model: { type: "string" },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});
const count = (name) => {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < 1) refuse(`--${name} ${values[name]}: not a count`);
  return number;
};
const rounds = count("rounds");
const reps = count("reps");

const folder = new URL("./peers/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".mjs"))
  .map((file) => parse(file).name);
const unknown = positionals.find((name) => !names.includes(name));
if (unknown) refuse(`${unknown}: no such peer; there are ${names.join(", ")}`);
const peers = names.filter((name) => name !== "pronk");
const wanted = [
  "pronk",
  ...peers.filter((n) => positionals.length === 0 || positionals.includes(n)),
];
const core = pinnedCore(values.core);
if (core === undefined && values.core !== undefined)
  refuse(`--core ${values.core}: cannot pin to it`);

const run = (args) =>
  execFileSync(process.execPath, [pronk, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
const model = values.model ?? run(["pull", MODEL]).trim();
const { path: pack } = JSON.parse(
  run(["pack", model, "--out", join(root, ".cache", "bench-peers", "pack"), "--json"]),
);
const manifest = JSON.parse(readFileSync(join(pack, "manifest.json"), "utf8"));
const { prompt_ids: chatIds } = JSON.parse(
  run(["run", pack, "--chat", COLD_QUESTION, "--max-tokens", "1", "--json"]),
);

const contenders = [];
for (const name of wanted) {
  const { contenders: of } = await import(new URL(`${name}.mjs`, folder));
  contenders.push(...(await of({ root, model, pack, manifest, chatIds, reps })));
}

say(core === undefined ? "not pinned: there is no taskset here" : `pinned to core ${core}`);
const results = contenders.map((contender) => ({ contender, rounds: [] }));
for (let round = 0; round < rounds; round++) {
  for (let i = 0; i < results.length; i++) {
    const { contender, rounds: done } = results[(i + round) % results.length];
    const limitMs = CHILD_LIMIT_MS + (reps + 1) * REP_LIMIT_MS;
    const { out, waited } = await runMeasured(contender, { core, limitMs });
    const figures = { ...JSON.parse(out), waited };
    done.push(figures);
    const [prefill, decode] = [figures.prefill_tps, figures.decode_tps].map((n) => n.toFixed(1));
    say(
      `round ${round + 1} of ${rounds}, ${contender.name}: prefill ${prefill}, decode ${decode} tok/s, ` +
        `first token ${figures.cold_ttft_ms.toFixed(0)} ms, ${figures.rss_mb.toFixed(0)} MB`,
    );
  }
}

const document = {
  machine: describeMachine(),
  core: core ?? null,
  model: manifest.source,
  date: new Date().toISOString().slice(0, 10),
  rounds,
  reps,
  contenders: results.map(summaryOf),
  ratios: ratiosOf(results),
};
const tables = resultTables(document);
if (values.write) {
  const page = join(root, "docs", "benchmarks.md");
  writeFileSync(page, replaceSection(readFileSync(page, "utf8"), "peers", tables));
  say(`written: ${page}`);
}
process.stdout.write(values.json ? `${JSON.stringify(document)}\n` : `${tables}\n`);
