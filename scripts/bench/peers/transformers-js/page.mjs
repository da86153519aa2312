// transformers.js in a page: onnxruntime-web's WebAssembly, one thread.
import { stopwatch } from "/page/workload.mjs";
import { createGenerator } from "/peer/generator.mjs";
import * as transformers from "/transformers/transformers.min.js";

export async function open({ model, dtype, eos }) {
  const { env } = transformers;
  env.allowLocalModels = true;
  env.allowRemoteModels = false;
  env.localModelPath = "/";
  // An empty profile has no cache to gain from, and filling it would take the first token's time.
  env.useBrowserCache = false;
  env.useWasmCache = false;
  const { wasm } = env.backends.onnx;
  wasm.numThreads = 1;
  // The build that it takes from a CDN by itself.
  const build = "/onnxruntime/ort-wasm-simd-threaded.asyncify";
  wasm.wasmPaths = { mjs: `${build}.mjs`, wasm: `${build}.wasm` };
  const options = { dtype, device: "wasm" };
  const { vocab, generate } = await createGenerator(transformers, model, options, stopwatch);
  return {
    vocab,
    kernel: "wasm",
    generate: (ids, tokens, stops = false) => generate(ids, tokens, stops ? eos : undefined),
  };
}
