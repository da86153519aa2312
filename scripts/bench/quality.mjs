// What each choice of form costs in quality, and what it takes in bytes and time.
//
//   npm run bench -- quality [--tokens N] [--rounds N] [--core N] [--model FILE] [--json] [--write]
//
// Perplexity on four texts (tests/data/quality: two to choose by, two to report) and the mean KL
// divergence from the source file in f32, over the first N tokens of each; then the speed of each
// form, pinned to one core. --write puts the tables into docs/benchmarks.md. Minutes.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gatherImportance } from "../../dist/src/engine/gather-importance.js";
import { withImportance } from "../../dist/src/pack/importance.js";
import { createRuntime } from "../../dist/src/platform/host/create-engine.js";
import { nodeHost } from "../../dist/src/platform/node/host.js";
import { describeMachine, pinnedCore } from "./machine.mjs";
import { writeSection } from "./page.mjs";
import { compareRunners } from "./quality/compare.mjs";
import {
  createRunner,
  formed,
  kernel,
  memoryOf,
  openForm,
  openSource,
  PLAN_CTX,
  packNearest,
} from "./quality/models.mjs";
import { columnsOf, shuffledEntries } from "./quality/shuffled-model.mjs";
import { qualityTables } from "./quality/tables.mjs";

const MODEL = "smollm2-135m-instruct";
const SPEED_LIMIT_MS = 5 * 60_000;

const root = fileURLToPath(new URL("../..", import.meta.url));
const say = (line) => process.stderr.write(`${line}\n`);

const { values } = parseArgs({
  options: {
    tokens: { type: "string", default: "2048" },
    rounds: { type: "string", default: "5" },
    core: { type: "string" },
    model: { type: "string" },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});
const count = (name, min) => {
  const number = Number(values[name]);
  if (Number.isInteger(number) && number >= min) return number;
  say(`bench: --${name} ${values[name]}: not an integer from ${min} on`);
  process.exit(2);
};
const tokens = count("tokens", 2);
const rounds = count("rounds", 1);

/** The texts, and what their figures are for. */
const TEXTS = [
  { name: "novel", use: "choice", file: "tests/data/quality/novel.txt" },
  { name: "code", use: "choice", file: "tests/data/quality/code.txt" },
  { name: "optics", use: "report", file: "tests/data/quality/optics.txt" },
  { name: "manual", use: "report", file: "tests/goldens/smollm2/ppl_text.txt" },
];
const CALIBRATION = "tests/data/quality/calibration.txt";

/** Forms of the file as it is. */
const FORMS = [
  { quantization: "q8", profile: "default", kv: "int16" },
  { quantization: "auto", profile: "default", kv: "f32" },
  { quantization: "auto", profile: "default", kv: "int16" },
  { quantization: "auto", profile: "default", kv: "bf16" },
  { quantization: "auto", profile: "default", kv: "int8" },
  { quantization: "auto", profile: "small", kv: "int16" },
  { quantization: "auto", profile: "small", kv: "int8" },
  { quantization: "q4s", profile: "default", kv: "int8" },
  { quantization: "q4s", profile: "small", kv: "int8" },
];

const main = join(root, "dist/src/cli/main.js");
const path = values.model ?? JSON.parse(run(["pull", MODEL, "--json"])).path;
const source = await openSource(path);
const {
  config,
  entries: floats,
  loadTokenizer,
} = await openForm(source, {
  quantization: "none",
  profile: "default",
});
const tokenizer = await loadTokenizer();

say("loading");
const { runner: reference } = await createRunner(config, floats, "f32");
const rows = [];
for (const form of FORMS) {
  const { entries } = await openForm(source, form);
  const { runner, packSeconds } = await createRunner(config, entries, form.kv);
  rows.push({ ...form, runner, packSeconds, memory: memoryOf(config, entries, form.kv) });
}

say("importance");
const shuffled = await shuffledEntries(floats, config);
const text = readFileSync(join(root, CALIBRATION), "utf8");
const importance = await shuffledImportance();
const q4 = formed(shuffled, "q4");
for (const [name, entries, fill] of [
  ["q8", formed(shuffled, "q8")],
  ["q4, rounded to nearest", q4, packNearest],
  ["q4, searched", q4],
  ["q4, searched, with importance", withImportance(q4, importance)],
]) {
  const { runner, packSeconds } = await createRunner(config, entries, "int16", { fill });
  const memory = memoryOf(config, entries, "int16");
  rows.push({ from: "float weights", name, kv: "int16", runner, packSeconds, memory });
}

const texts = [];
for (const { name, use, file } of TEXTS) {
  const ids = tokenizer.encode(readFileSync(join(root, file), "utf8")).slice(0, tokens);
  const runners = rows.map(({ runner }) => runner);
  const [base, ...found] = await compareRunners(reference, runners, ids, (done, total) => {
    if (done % 512 === 0 || done === total) say(`${name}: ${done} of ${total} tokens`);
  });
  texts.push({ name, use, tokens: ids.length, ppl: base.ppl });
  for (const [i, { ppl, kl }] of found.entries()) {
    (rows[i].texts ??= []).push({ name, ppl, change: ppl / base.ppl - 1, kl });
  }
}
for (const row of rows) delete row.runner;

say("speeds");
const core = pinnedCore(values.core);
const speedArgs = [
  join(root, "scripts/bench/quality/speed.mjs"),
  path,
  String(rounds),
  JSON.stringify(FORMS),
];
const program = [process.execPath, ...speedArgs];
const [command, ...args] =
  core === undefined ? program : ["taskset", "-c", String(core), ...program];
const measured = JSON.parse(
  execFileSync(command, args, { encoding: "utf8", timeout: SPEED_LIMIT_MS }),
);
for (const [i, speed] of measured.speeds.entries()) Object.assign(rows[i], speed);

const document = {
  machine: describeMachine(),
  core: core ?? null,
  runtime: `Node ${process.versions.node}`,
  kernel: measured.kernel,
  quality_kernel: kernel.variant,
  date: new Date().toISOString().slice(0, 10),
  model: { name: source.name, bytes: source.size },
  plan_ctx: PLAN_CTX,
  rounds,
  texts,
  forms: rows,
};
if (values.json) process.stdout.write(`${JSON.stringify(document, null, 1)}\n`);
else process.stdout.write(`${qualityTables(document)}\n`);
if (values.write) say(`written: ${writeSection("quality", document).join(", ")}`);

function run(args) {
  const options = { encoding: "utf8", timeout: 10 * 60_000, stdio: ["ignore", "pipe", "inherit"] };
  return execFileSync(process.execPath, [main, ...args], options);
}

/** Importance of the shuffled model's columns: the file's own, shuffled as they are. */
async function shuffledImportance() {
  const found = new Map();
  const runtime = await createRuntime(nodeHost, "auto");
  const original = await gatherImportance({ gguf: [source] }, text, runtime);
  for (const [name, mean] of original) found.set(name, columnsOf(name, mean, config));
  return found;
}
