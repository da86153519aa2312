// Contenders, and rounds in which each runs once.
import { readdirSync } from "node:fs";
import { parse } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeMachine, pinnedCore } from "./machine.mjs";
import { runMeasured } from "./measured-child.mjs";
import { prepareFiles } from "./model-files.mjs";

/** For one contender in one round: loading twice, and every repetition on a busy machine. */
const CHILD_LIMIT_MS = 60_000;
const REP_LIMIT_MS = 60_000;

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = new URL("./peers/", import.meta.url);

export const say = (line) => process.stderr.write(`${line}\n`);

/** Ends the process: the command line is wrong. */
export function refuse(what) {
  say(`bench: ${what}`);
  process.exit(2);
}

/** Counts of at least 1, by name, from `parseArgs` values. */
function counts(values, names) {
  return names.map((name) => {
    const number = Number(values[name]);
    if (!Number.isInteger(number) || number < 1) refuse(`--${name} ${values[name]}: not a count`);
    return number;
  });
}

/** The options that every comparison takes; `extra` are its own. */
export function comparisonOptions(defaults, extra = {}) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: defaults.rounds },
      reps: { type: "string", default: defaults.reps },
      core: { type: "string" },
      model: { type: "string" },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      ...extra,
    },
  });
  const [rounds, reps] = counts(values, ["rounds", "reps"]);
  const core = pinnedCore(values.core);
  if (core === undefined && values.core !== undefined) {
    refuse(`--core ${values.core}: cannot pin to it`);
  }
  return { ...values, positionals, rounds, reps, core };
}

/** Names of the files in scripts/bench/peers. */
export function peerNames() {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".mjs"))
    .map((file) => parse(file).name);
}

/**
 * The contenders of some files in scripts/bench/peers, with their `format` and a `label` of their own.
 *
 * A module's `contenders(setting)` is called for the file given and for each format that the module's
 * `formats` names; `setting` is `{ root, model, pack, manifest, format, given, chatIds, reps, ...more }`.
 */
export async function loadContenders(names, { files, chatIds }, more) {
  const contenders = [];
  for (const name of names) {
    const module = await import(new URL(`${name}.mjs`, folder));
    for (const file of files) {
      if (!file.given && !module.formats?.includes(file.format)) continue;
      for (const contender of await module.contenders({ root, ...file, chatIds, ...more })) {
        const { format = file.format } = contender;
        contenders.push({ ...contender, format, label: `${contender.name}, ${format}` });
      }
    }
  }
  return contenders;
}

/**
 * Runs them, the order turned from round to round.
 *
 * @param line a document as words, for progress.
 * @returns `{ contender, rounds }` of each: the documents that it printed.
 */
export async function runRounds(contenders, { rounds, reps, core }, line) {
  say(core === undefined ? "not pinned: there is no taskset here" : `pinned to core ${core}`);
  const results = contenders.map((contender) => ({ contender, rounds: [] }));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < results.length; i++) {
      const { contender, rounds: done } = results[(i + round) % results.length];
      const limitMs = CHILD_LIMIT_MS + (reps + 1) * REP_LIMIT_MS;
      const { out, waited } = await runMeasured(contender, { core, limitMs });
      const figures = { ...JSON.parse(out), waited };
      done.push(figures);
      say(`round ${round + 1} of ${rounds}, ${contender.label}: ${line(figures)}`);
    }
  }
  return results;
}

/** What a document of a comparison begins with. */
export function documentHead({ rounds, reps, core }, { files }) {
  return {
    machine: describeMachine(),
    core: core ?? null,
    model: files[0].manifest.source,
    date: new Date().toISOString().slice(0, 10),
    rounds,
    reps,
  };
}

/** Files, from a model's name or path. */
export function prepare(model) {
  return prepareFiles(root, model);
}

/** What is kept of a contender beside its rounds. */
export function contenderFacts({ label, name, role, peer, format, version, runtime, weights }) {
  return { label, name, role, peer, format, version, runtime, weights };
}
