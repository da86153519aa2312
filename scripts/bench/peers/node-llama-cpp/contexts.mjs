// One process of node-llama-cpp at the work of `pronk bench --contexts`; prints the same document.
//
//   node contexts.mjs MODULE MODEL DEPTHS REPS
import {
  CONTEXT_STEPS,
  contextPrompt,
  contextsDocument,
  contextWork,
} from "../../../../dist/src/cli/bench-workload.js";
import { openLlama, printAndExit } from "./open.mjs";

const [module, file, list, reps] = process.argv.slice(2);
const depths = list.split(",").map(Number);
// With no room behind the last token it would shift its context.
const ctx = Math.max(...depths) + CONTEXT_STEPS;
const { sequence, generate, vocab, head } = await openLlama(module, file, ctx);

const contexts = [];
for (const positions of depths) {
  const { fill, chunk } = contextWork(positions);
  const at = { positions, prefill_tps: [], decode_tps: [] };
  for (let rep = 0; rep <= Number(reps); rep++) {
    const ids = contextPrompt(positions, vocab, rep);
    await keepFirst(Math.min(fill, sequence.nextTokenIndex));
    const missing = ids.slice(sequence.nextTokenIndex, fill);
    if (missing.length > 0) await sequence.evaluateWithoutGeneratingNewTokens(missing);
    const { firstMs, restMs } = await generate(ids.slice(fill), CONTEXT_STEPS + 1);
    // The first round is a warm-up.
    if (rep === 0) continue;
    at.prefill_tps.push((chunk * 1000) / firstMs);
    at.decode_tps.push((CONTEXT_STEPS * 1000) / restMs);
  }
  // What is kept for the next depth is the part that all depths share.
  await keepFirst(fill);
  contexts.push(at);
}
printAndExit(JSON.stringify(contextsDocument(head, contexts)));

async function keepFirst(tokens) {
  const end = sequence.nextTokenIndex;
  if (tokens < end) await sequence.eraseContextTokenRanges([{ start: tokens, end }]);
  if (sequence.nextTokenIndex !== tokens) {
    throw new Error(`node-llama-cpp: ${sequence.nextTokenIndex} tokens are left of ${tokens}`);
  }
}
