// pronk in a page: the browser entry as a bundler makes it, one thread, the pack over HTTP.
import { BENCH_CTX } from "/dist/src/cli/bench-workload.js";
import { stopwatch } from "/page/workload.mjs";
import { createEngine } from "/pronk.js";

export async function open({ pack }) {
  const engine = await createEngine(new URL(pack, location.href).href, {
    ctx: BENCH_CTX,
    slots: 1,
  });
  const { vocab, kernel, kernelReason } = engine.info;
  return {
    vocab,
    kernel,
    kernelReason,
    generate: (ids, tokens, stops) => generate(engine, ids, tokens, stops),
  };
}

async function generate(engine, prompt_ids, tokens, stops = false) {
  const watch = stopwatch();
  const request = { prompt_ids, max_tokens: tokens, temperature: 0, ignore_eos: !stops };
  const generation = engine.stream(request);
  for await (const _ of generation) watch.token();
  const { ids, text } = await generation.result;
  return { ...watch.times(stops ? ids.length : tokens), ids, text };
}
