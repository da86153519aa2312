// pronk beside what one would use instead: the same model, work, core and run.
//
//   npm run bench -- peers [NAME ...] [--rounds N] [--reps N] [--core N] [--model FILE] [--json] [--write]
//
// Every contender of scripts/bench/peers is a child process that does the work of `pronk bench` and
// prints its document. A round runs each of them once, so that what the machine does meanwhile hits
// all alike; the order turns from round to round. NAME runs that peer alone, beside pronk; with all of
// them a round takes about 7 minutes, most of it the slow WebAssembly ones. --write
// keeps the raw figures in docs/benchmarks.json and makes the page's section and chart of them.
import {
  comparisonOptions,
  contenderFacts,
  documentHead,
  loadContenders,
  peerNames,
  prepare,
  refuse,
  runRounds,
  say,
} from "./comparison.mjs";
import { writeSection } from "./page.mjs";
import { resultTables, summarized } from "./report.mjs";

const options = comparisonOptions({ rounds: "5", reps: "3" });
const names = peerNames();
const unknown = options.positionals.find((name) => !names.includes(name));
if (unknown) refuse(`${unknown}: no such peer; there are ${names.join(", ")}`);
const wanted = names.filter(
  (name) => !options.positionals.length || options.positionals.includes(name),
);

const prepared = await prepare(options.model);
const contenders = await loadContenders([...new Set(["pronk", ...wanted])], prepared, {
  reps: options.reps,
});
const results = await runRounds(contenders, options, (figures) => {
  const [prefill, decode] = [figures.prefill_tps, figures.decode_tps].map((n) => n.toFixed(1));
  const first = figures.cold_ttft_ms?.toFixed(0) ?? "–";
  const memory = figures.rss_mb?.toFixed(0) ?? "–";
  return `prefill ${prefill}, decode ${decode} tok/s, first token ${first} ms, ${memory} MB`;
});

const document = {
  ...documentHead(options, prepared),
  contenders: results.map(({ contender, rounds }) => ({ ...contenderFacts(contender), rounds })),
};
if (options.write) say(`written: ${writeSection("peers", document).join(", ")}`);
process.stdout.write(
  options.json ? `${JSON.stringify(summarized(document))}\n` : `${resultTables(document)}\n`,
);
