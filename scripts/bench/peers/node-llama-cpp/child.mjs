// One process of node-llama-cpp at the work of `pronk bench`; prints the same document.
//
//   node child.mjs MODULE MODEL CHAT_IDS REPS      measures
//   node child.mjs MODULE MODEL CHAT_IDS           prints the chat's first token: a cold start
import {
  BENCH_CTX,
  benchDocument,
  benchPrompt,
  DECODE_PROMPT_TOKENS,
  DECODE_STEPS,
  PREFILL_TOKENS,
} from "../../../../dist/src/cli/bench-workload.js";
import { coldFigures, coldStart, peakResidentMb } from "../../measure-self.mjs";
import { openLlama, printAndExit } from "./open.mjs";

const [module, file, chatIds, reps] = process.argv.slice(2);
const llama = await openLlama(module, file, BENCH_CTX);
const generate = async (ids, tokens) => {
  await llama.sequence.clearHistory();
  return llama.generate(ids, tokens);
};

if (reps === undefined) {
  const { token } = await generate(chatIds.split(",").map(Number), 1);
  printAndExit(llama.detokenize([token]));
} else {
  const prefill = [];
  const decode = [];
  // The first round is a warm-up.
  for (let rep = 0; rep <= Number(reps); rep++) {
    const read = await generate(benchPrompt(PREFILL_TOKENS, llama.vocab, rep), 1);
    const steps = await generate(benchPrompt(DECODE_PROMPT_TOKENS, llama.vocab), DECODE_STEPS + 1);
    if (rep === 0) continue;
    prefill.push((PREFILL_TOKENS * 1000) / read.firstMs);
    decode.push((DECODE_STEPS * 1000) / steps.restMs);
  }
  const rss = peakResidentMb();
  const cold = [];
  for (let rep = 0; rep < Number(reps); rep++) {
    cold.push(await coldStart(process.execPath, process.argv.slice(1, 5)));
  }
  const figures = {
    prefill_tps: prefill,
    decode_tps: decode,
    ...coldFigures(cold),
    rss_mb: [rss],
  };
  printAndExit(JSON.stringify(benchDocument(llama.head, figures)));
}
