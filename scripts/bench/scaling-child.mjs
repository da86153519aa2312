// One model in one process, measured as `pronk bench` does: `node scaling-child.mjs PACK PREFILL_TOKENS DECODE_STEPS`.
//
// Prints what it took to load, every repetition of prefill and decode, and memory. Repetitions go on for
// BUDGET_MS, so a large model has one.
import { BENCH_CTX, benchPrompt, DECODE_PROMPT_TOKENS } from "../../dist/src/cli/bench-workload.js";
import { createEngine } from "../../dist/src/engine/create-engine.js";
import { createRuntime, loadNamedModel } from "../../dist/src/platform/host/create-engine.js";
import { peakResidentBytes } from "../../dist/src/platform/host/peak-memory.js";
import { nodeHost } from "../../dist/src/platform/node/host.js";

const BUDGET_MS = 1500;

/** For the engine's compiler: a chunk of prefill and some steps, until this has passed. */
const WARM_MS = 500;
const WARM_TOKENS = 64;
const WARM_STEPS = 4;

const [pack, prefillTokens, decodeSteps] = process.argv.slice(2);

const loadStarted = performance.now();
const runtime = await createRuntime(nodeHost, "auto");
const model = await loadNamedModel(nodeHost, pack, runtime, { ctx: BENCH_CTX, slots: 1 });
const loadMs = performance.now() - loadStarted;
await checkLogits(model.runner);
const engine = createEngine(model, runtime);
const { vocab, kernel, memory } = engine.info;

const prompt = (tokens, first) => benchPrompt(tokens, vocab, first);
const request = (prompt_ids, max_tokens) => ({
  prompt_ids,
  max_tokens,
  temperature: 0,
  ignore_eos: true,
});

let prompts = 0;
async function prefillMs(tokens) {
  const started = performance.now();
  // Another prompt each time, so that no prefix is reused.
  await engine.generate(request(prompt(tokens, ++prompts), 1));
  return performance.now() - started;
}

/** The time from the first token to the last of `steps` after it. */
async function decodeMs(steps) {
  let first = 0;
  let last = 0;
  for await (const _ of engine.stream(request(prompt(DECODE_PROMPT_TOKENS), steps + 1))) {
    last = performance.now();
    first ||= last;
  }
  return last - first;
}

/** @throws when weights and kernels make anything but finite numbers. */
async function checkLogits(runner) {
  const ids = benchPrompt(DECODE_PROMPT_TOKENS, runner.vocab);
  const count = ids.length;
  await runner.forward({
    ids,
    spans: [{ slot: 0, start: 0, count }],
    logitsRows: [count - 1],
  });
  const odd = runner.logits(0).findIndex((value) => !Number.isFinite(value));
  if (odd >= 0) throw new Error(`${pack}: logit ${odd} is ${runner.logits(0)[odd]}`);
}

const warm = performance.now();
do {
  await prefillMs(WARM_TOKENS);
  await decodeMs(WARM_STEPS);
} while (performance.now() - warm < WARM_MS);

const prefill = [];
const decode = [];
const started = performance.now();
do {
  prefill.push((prefillTokens * 1000) / (await prefillMs(Number(prefillTokens))));
  decode.push((decodeSteps * 1000) / (await decodeMs(Number(decodeSteps))));
} while (performance.now() - started < BUDGET_MS);

console.log(
  JSON.stringify({
    kernel,
    memory,
    load_ms: loadMs,
    prefill_tps: prefill,
    decode_tps: decode,
    rss_bytes: peakResidentBytes(),
  }),
);
await engine.dispose();
