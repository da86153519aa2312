// How decode and prefill slow down with depth, beside node-llama-cpp.
//
//   npm run bench -- contexts [--contexts 128,1024,4096,8192] [--rounds N] [--reps N] [--core N] [--model FILE] [--json] [--write]
//
// Each contender fills its cache once a round; at every depth it reads a last chunk and decodes some
// tokens, which are timed. Rounds and --write are as in peers.mjs.
import {
  comparisonOptions,
  contenderFacts,
  documentHead,
  loadContenders,
  prepare,
  runRounds,
  say,
} from "./comparison.mjs";
import { contextsSummarized, contextTables } from "./contexts-report.mjs";
import { writeSection } from "./page.mjs";

const DEPTHS = "128,1024,4096,8192";

const options = comparisonOptions(
  { rounds: "3", reps: "3" },
  { contexts: { type: "string", default: DEPTHS } },
);
const prepared = await prepare(options.model);
const given = { ...prepared, files: prepared.files.filter((file) => file.given) };
const { reps, contexts } = options;
const contenders = await loadContenders(["pronk", "node-llama-cpp"], given, { reps, contexts });
const results = await runRounds(contenders, options, (figures) =>
  figures.contexts
    .map((at) => `${at.positions}: ${at.prefill_tps.toFixed(0)} and ${at.decode_tps.toFixed(1)}`)
    .join(", ")
    .concat(" tok/s"),
);

const document = {
  ...documentHead(options, prepared),
  contenders: results.map(({ contender, rounds }) => ({ ...contenderFacts(contender), rounds })),
};
if (options.write) say(`written: ${writeSection("contexts", document).join(", ")}`);
process.stdout.write(
  options.json
    ? `${JSON.stringify(contextsSummarized(document))}\n`
    : `${contextTables(document)}\n`,
);
