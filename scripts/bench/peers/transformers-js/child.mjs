// One process of transformers.js on onnxruntime-node at the work of `pronk bench`; prints the same
// document.
//
//   node child.mjs SETTING measure REPS
//   node child.mjs SETTING greedy PROMPT N     prints { ids } of a greedy answer
//   node child.mjs SETTING first               prints the id of the chat's first token: a cold start
//
// SETTING is JSON: { library, model, dtype, chatIds, eos }. One thread.
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { benchDocument } from "../../../../dist/src/cli/bench-workload.js";
import { measureGenerator, stopwatch } from "../../browser/workload.mjs";
import { coldFigures, coldStart, peakResidentMb } from "../../measure-self.mjs";
import { createGenerator } from "./generator.mjs";

const [settingJson, task, argument, count] = process.argv.slice(2);
const { library, model, dtype, chatIds, eos } = JSON.parse(settingJson);
const transformers = await import(pathToFileURL(library));
transformers.env.allowRemoteModels = false;
transformers.env.localModelPath = dirname(model);
const generator = await createGenerator(transformers, model, { dtype, device: "cpu" }, stopwatch);

if (task === "measure") {
  const reps = Number(argument);
  const { prefill, decode } = await measureGenerator(generator, reps);
  const rss = peakResidentMb();
  const cold = [];
  for (let rep = 0; rep < reps; rep++) {
    cold.push(await coldStart(process.execPath, [process.argv[1], settingJson, "first"]));
  }
  const head = {
    peer: "transformers-js",
    runtime: `node ${process.versions.node}`,
    kernel: "native",
    threads: 1,
  };
  const figures = {
    prefill_tps: prefill,
    decode_tps: decode,
    ...coldFigures(cold),
    rss_mb: [rss],
  };
  console.log(JSON.stringify(benchDocument(head, figures)));
} else if (task === "greedy") {
  const { ids } = await generator.generate(JSON.parse(argument).ids, Number(count), eos);
  console.log(JSON.stringify({ ids }));
} else {
  const { ids } = await generator.generate(chatIds, 1);
  console.log(ids[0]);
}
