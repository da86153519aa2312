/**
 * Runs a model over a text and gathers what quantization is guided by: the mean square of every
 * column that enters a matrix product. Weights and cache are f32, so no error of the fast path is in
 * it; a model whose f32 weights do not fit runs as `auto` would pack it.
 */
import type { ObservedProduct } from "../backends/runner-options.ts";
import { selectKernel } from "../backends/wasm/kernel-variants.ts";
import { createWasmRunner } from "../backends/wasm/wasm-runner.ts";
import { PronkError, throwIfAborted } from "../errors.ts";
import type { Importance } from "../pack/importance.ts";
import { type ModelPlan, planModel } from "./load-model.ts";
import type { ModelInput } from "./opened-model.ts";
import type { Runtime } from "./runtime.ts";

/** Tokens of a window: long enough that few of them see an empty past. */
const WINDOW = 512;

/** Rows of a batch, all with logits, so that the head's inputs are seen as well. */
const CHUNK = 64;

/** Fewer say little: the 576 columns of a small model would have a few samples each. */
const MIN_TOKENS = 256;

export interface GatherOptions {
  readonly signal?: AbortSignal;
  /** After each batch: tokens run so far, of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * @throws PronkError "bad_request" for a text of too few tokens; "unsupported" without a tokenizer;
 *   and as planModel.
 */
export async function gatherImportance(
  input: ModelInput,
  text: string,
  runtime: Runtime,
  options: GatherOptions = {},
): Promise<Importance> {
  const { signal, onProgress } = options;
  const { model, config, plan, runner: sizes } = await planToObserve(input, signal);
  const tokenizer = await model.loadTokenizer(signal);
  if (!tokenizer) {
    throw new PronkError("unsupported", `${model.facts.source.name}: it has no tokenizer`);
  }
  const ids = tokenizer.encode(text);
  if (ids.length < MIN_TOKENS) {
    throw new PronkError(
      "bad_request",
      `importance: a text of ${ids.length} tokens, at least ${MIN_TOKENS}; some thousands are good`,
      { param: "importance" },
    );
  }

  const inputs = new ColumnSums();
  const kernel = selectKernel(runtime.kernels, { now: runtime.now });
  const observe = (product: ObservedProduct): void => inputs.add(product);
  const runner = createWasmRunner(plan, model.tensors, model.weightBytes, kernel, {
    ...sizes,
    observe,
  });
  try {
    await model.loadWeights(runner.weights, { signal, digest: runtime.digest });
    const window = Math.min(WINDOW, config.max_position_embeddings);
    for (let at = 0; at < ids.length; ) {
      throwIfAborted(signal);
      const start = at % window;
      const count = Math.min(CHUNK, ids.length - at, window - start);
      await runner.forward({
        ids: ids.slice(at, at + count),
        spans: [{ slot: 0, start, count }],
        logitsRows: Array.from({ length: count }, (_, row) => row),
      });
      at += count;
      onProgress?.(at, ids.length);
      await runtime.yieldTask();
    }
    return inputs.means();
  } finally {
    runner.dispose();
  }
}

async function planToObserve(input: ModelInput, signal?: AbortSignal): Promise<ModelPlan> {
  const sizes = { slots: 1, maxCtx: WINDOW, chunk: CHUNK, maxLogits: CHUNK, signal };
  try {
    return await planModel(input, { ...sizes, quantization: "none", kv: "f32" });
  } catch (error) {
    if (!(error instanceof PronkError) || error.code !== "out_of_memory") throw error;
    return planModel(input, { ...sizes, quantization: "auto" });
  }
}

/** Sums of squares of the columns that enter each product, in f64. */
class ColumnSums {
  readonly #products = new Map<string, { sums: Float64Array; rows: number; weights: string[] }>();

  add({ step, input, rows, stride }: ObservedProduct): void {
    const { cols, parts } = step;
    const weights = parts.map(({ weight }) => weight);
    let product = this.#products.get(weights[0]);
    if (!product) {
      product = { sums: new Float64Array(cols), rows: 0, weights };
      this.#products.set(weights[0], product);
    }
    const { sums } = product;
    for (let row = 0; row < rows; row++) {
      for (let c = 0, at = row * stride; c < cols; c++, at++) sums[c] += input[at] * input[at];
    }
    product.rows += rows;
  }

  means(): Importance {
    const means = new Map<string, Float32Array>();
    for (const { sums, rows, weights } of this.#products.values()) {
      const mean = Float32Array.from(sums, (sum) => sum / rows);
      for (const weight of weights) means.set(weight, mean);
    }
    return means;
  }
}
