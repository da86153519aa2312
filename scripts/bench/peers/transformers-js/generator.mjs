// transformers.js, in Node or in a page, as the benchmark's work wants it.

/**
 * @param transformers the package's module
 * @param model the folder of config.json and onnx/, a path or a URL's path
 * @param options `dtype`, which file of it; `device`, where the package has a choice
 * @param stopwatch of bench/browser/workload.mjs
 */
export async function createGenerator(transformers, model, options, stopwatch) {
  const { AutoModelForCausalLM, Tensor } = transformers;
  const causal = await AutoModelForCausalLM.from_pretrained(model, {
    ...options,
    local_files_only: true,
    session_options: { intraOpNumThreads: 1, interOpNumThreads: 1 },
  });
  const { vocab_size: vocab } = causal.config;

  /** Greedy; `stops` is the id that ends a text, where one does. */
  async function generate(prompt, tokens, stops) {
    const watch = stopwatch();
    const ids = [];
    let isPrompt = true;
    const shape = [1, prompt.length];
    await causal.generate({
      inputs: new Tensor("int64", BigInt64Array.from(prompt, BigInt), shape),
      attention_mask: new Tensor("int64", new BigInt64Array(prompt.length).fill(1n), shape),
      max_new_tokens: tokens,
      do_sample: false,
      eos_token_id: stops ?? null,
      streamer: {
        put([part]) {
          if (!isPrompt) {
            watch.token();
            ids.push(Number(part[0]));
          }
          isPrompt = false;
        },
        end() {},
      },
    });
    return { ...watch.times(stops === undefined ? tokens : ids.length), ids };
  }
  return { vocab, generate };
}
