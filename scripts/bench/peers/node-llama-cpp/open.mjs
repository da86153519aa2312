// One sequence of node-llama-cpp on one thread: the library's defaults otherwise (f16 cache,
// automatic flash attention).
import { pathToFileURL } from "node:url";
import { PREFILL_TOKENS } from "../../../../dist/src/cli/bench-workload.js";

export async function openLlama(module, modelPath, contextSize) {
  const { getLlama, LlamaLogLevel } = await import(pathToFileURL(module));
  const llama = await getLlama({
    build: "never",
    gpu: false,
    logLevel: LlamaLogLevel.error,
    progressLogs: false,
    maxThreads: 1,
  });
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize,
    batchSize: PREFILL_TOKENS,
    threads: 1,
  });
  const sequence = context.getSequence();

  /** Milliseconds to the first token, and from it to the last; `ids` follow what the cache has. */
  async function generate(ids, tokens) {
    let made = 0;
    let firstMs = 0;
    const started = performance.now();
    for await (const token of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
      if (made === 0) firstMs = performance.now() - started;
      if (++made === tokens) {
        return { firstMs, restMs: performance.now() - started - firstMs, token };
      }
    }
    throw new Error(`node-llama-cpp: ended after ${made} of ${tokens} tokens`);
  }

  return {
    sequence,
    generate,
    vocab: model.fileInfo.metadata.tokenizer.ggml.tokens.length,
    detokenize: (ids) => model.detokenize(ids),
    head: {
      peer: "node-llama-cpp",
      runtime: `node ${process.versions.node}`,
      kernel: "native",
      threads: context.currentThreads,
    },
  };
}

/** The library's threads would keep the process for a while. */
export function printAndExit(text) {
  process.stdout.write(`${text}\n`, () => process.exit(0));
}
