// wllama in a page: one thread, no GPU, greedy.
//
// Its completions take text, never ids. A prompt of so many tokens is a text that becomes so many:
// it counts them itself, and anything else is an error.
import { BENCH_CTX, PREFILL_TOKENS } from "/dist/src/cli/bench-workload.js";
import { stopwatch } from "/page/workload.mjs";
import { Wllama } from "/wllama/index.min.js";

const LOGGER = { debug() {}, log() {}, warn: console.warn, error: console.error };

export async function open({ model, ids, text }) {
  const wllama = new Wllama(
    { default: "/wllama/wasm/wllama.wasm" },
    { suppressNativeLog: true, logger: LOGGER },
  );
  // Where a browser lacks something, another build would come from the network and be slower.
  wllama.setCompat(null);
  const response = await fetch(model);
  if (!response.ok) throw new Error(`${model}: HTTP ${response.status}`);
  await wllama.loadModel([await response.blob()], {
    n_threads: 1,
    n_gpu_layers: 0,
    n_ctx: BENCH_CTX,
    n_batch: PREFILL_TOKENS,
    n_ubatch: PREFILL_TOKENS,
    n_parallel: 1,
    warmup: false,
  });
  if (wllama.isMultithread()) throw new Error("wllama: more than one thread");
  const textOf = (prompt) => (prompt === ids ? text : digits(prompt));
  return {
    vocab: wllama.getModelMetadata().hparams.nVocab,
    kernel: "wasm",
    generate: (prompt, tokens, stops = false) =>
      generate(wllama, textOf(prompt), prompt.length, tokens, stops),
  };
}

/** As many digits as ids: Llama's tokenizers that split digits make one token of each. */
function digits(ids) {
  return ids.map((id) => id % 10).join("");
}

async function generate(wllama, prompt, promptTokens, tokens, stops) {
  const watch = stopwatch();
  let text = "";
  let made = 0;
  let read = 0;
  await wllama.createCompletion({
    prompt,
    max_tokens: tokens,
    temperature: 0,
    top_k: 1,
    cache_prompt: false,
    ignore_eos: !stops,
    timings_per_token: true,
    stream: true,
    onData({ choices, timings }) {
      text += choices[0].text;
      read = timings.prompt_n;
      // Its own count: the end is one more chunk, and half a character waits for the next token.
      if (made === 0 && timings.predicted_n !== 1) throw new Error("wllama: no first token");
      for (; made < timings.predicted_n; made++) watch.token();
    },
  });
  if (read !== promptTokens) {
    throw new Error(`wllama: read ${read} tokens, the prompt has ${promptTokens}`);
  }
  return { ...watch.times(stops ? made : tokens), text };
}
