// One process of node-llama-cpp at the work of `pronk bench`; prints the same document.
//
//   node child.mjs MODULE MODEL CHAT_IDS REPS      measures
//   node child.mjs MODULE MODEL CHAT_IDS           prints the chat's first token: a cold start
//
// One thread, greedy, the library's defaults otherwise (f16 cache, automatic flash attention).
import { pathToFileURL } from "node:url";
import {
  BENCH_CTX,
  benchDocument,
  benchPrompt,
  DECODE_PROMPT_TOKENS,
  DECODE_STEPS,
  PREFILL_TOKENS,
} from "../../../../dist/src/cli/bench-workload.js";
import { coldStartMs, peakResidentMb } from "../../measure-self.mjs";

const [module, file, chatIds, reps] = process.argv.slice(2);
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(module));
const llama = await getLlama({
  build: "never",
  gpu: false,
  logLevel: LlamaLogLevel.error,
  progressLogs: false,
  maxThreads: 1,
});
const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: BENCH_CTX,
  batchSize: PREFILL_TOKENS,
  threads: 1,
});
const sequence = context.getSequence();

/** Milliseconds to the first token, and from it to the last. */
async function generate(ids, tokens) {
  await sequence.clearHistory();
  let made = 0;
  let firstMs = 0;
  const started = performance.now();
  for await (const token of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    if (made === 0) firstMs = performance.now() - started;
    if (++made === tokens) return { firstMs, restMs: performance.now() - started - firstMs, token };
  }
  throw new Error(`node-llama-cpp: ended after ${made} of ${tokens} tokens`);
}

// The library's threads would keep the process for a while.
const print = (text) => process.stdout.write(`${text}\n`, () => process.exit(0));
if (reps === undefined) {
  const { token } = await generate(chatIds.split(",").map(Number), 1);
  print(model.detokenize([token]));
} else {
  const vocab = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
  const prefill = [];
  const decode = [];
  // The first round is a warm-up.
  for (let rep = 0; rep <= Number(reps); rep++) {
    const read = await generate(benchPrompt(PREFILL_TOKENS, vocab, rep), 1);
    const steps = await generate(benchPrompt(DECODE_PROMPT_TOKENS, vocab), DECODE_STEPS + 1);
    if (rep === 0) continue;
    prefill.push((PREFILL_TOKENS * 1000) / read.firstMs);
    decode.push((DECODE_STEPS * 1000) / steps.restMs);
  }
  const rss = peakResidentMb();
  const cold = [];
  for (let rep = 0; rep < Number(reps); rep++) {
    cold.push(await coldStartMs(process.execPath, process.argv.slice(1, 5)));
  }
  const head = {
    peer: "node-llama-cpp",
    runtime: `node ${process.versions.node}`,
    kernel: "native",
    threads: context.currentThreads,
  };
  const figures = { prefill_tps: prefill, decode_tps: decode, cold_ttft_ms: cold, rss_mb: [rss] };
  print(JSON.stringify(benchDocument(head, figures)));
}
