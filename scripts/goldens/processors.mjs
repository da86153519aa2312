// Reduces the golden data of the logits processors to the cases that this package has.
//
//   node scripts/goldens/processors.mjs FOLDER    FOLDER holds processors/processors.json
//
// Kept: temperature, top_k, top_p, min_p, repetition_penalty, chains of them, OpenAI's penalties,
// log-softmax; without the options that requests cannot set (min_tokens_to_keep, prompt_ignore_length).
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: node scripts/goldens/processors.mjs FOLDER");
  process.exit(2);
}

const OPTIONS = {
  TemperatureLogitsWarper: ["temperature"],
  TopKLogitsWarper: ["top_k"],
  TopPLogitsWarper: ["top_p"],
  MinPLogitsWarper: ["min_p"],
  RepetitionPenaltyLogitsProcessor: ["penalty"],
  LogitNormalization: [],
  chain: ["repetition_penalty", "temperature", "top_k", "top_p", "min_p"],
};

const all = JSON.parse(readFileSync(join(folder, "processors/processors.json"), "utf8"));
const cases = all.cases
  .filter((one) => one.class in OPTIONS)
  .filter((one) => Object.keys(one.params).every((key) => OPTIONS[one.class].includes(key)))
  .map(({ name, params, input_ids, scores, out }) => ({
    name,
    params: params.penalty === undefined ? params : { repetition_penalty: params.penalty },
    input_ids,
    scores,
    out,
  }));

const target = new URL("../../tests/goldens/processors/", import.meta.url);
mkdirSync(target, { recursive: true });
const kept = {
  transformers: all.transformers,
  vocab: all.vocab,
  cases,
  openai_penalties: all.openai_penalties,
};
writeFileSync(new URL("processors.json", target), `${JSON.stringify(kept)}\n`);
console.log(`${cases.length} of ${all.cases.length} cases`);
