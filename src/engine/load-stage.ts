/** One stage of a pack, in memory and ready for fronts: only the shards that hold its part are read. */
import { selectKernel } from "../backends/wasm/kernel-variants.ts";
import { PronkError, throwIfAborted } from "../errors.ts";
import { type Plan, planLlama } from "../model/plan.ts";
import type { SourceFolder } from "../sources/source.ts";
import type { HostedStage } from "../stages/stage-host.ts";
import type { StagePart } from "../stages/stage-part.ts";
import { planStage, type StageOptions } from "../stages/stage-plan.ts";
import { WasmStage } from "../stages/wasm-stage.ts";
import { packFingerprint } from "./load-staged.ts";
import { openPack } from "./open-pack.ts";
import type { LoadProgress, OpenedModel } from "./opened-model.ts";
import type { Runtime } from "./runtime.ts";

export interface StageLoadOptions {
  /** Bytes that its memory may take. */
  readonly budgetBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

export function planOf({ config, head }: Pick<OpenedModel, "config" | "head">): Plan {
  return planLlama(config, head === undefined ? {} : { head });
}

/**
 * @throws PronkError as openPack; "bad_request" for a part that the model has not; "out_of_memory" with the plan's
 *   numbers; "corrupt" when a shard's bytes differ from its hash.
 */
export async function loadStage(
  pack: SourceFolder,
  { part, sizes }: { readonly part: StagePart; readonly sizes: StageOptions },
  runtime: Runtime,
  options: StageLoadOptions = {},
): Promise<HostedStage> {
  const { signal, onProgress, budgetBytes } = options;
  throwIfAborted(signal);
  const model = await openPack(pack, signal);
  const staged = { plan: planOf(model), tensors: model.tensors };
  const { memory } = planStage(staged, part, sizes);
  if (budgetBytes !== undefined && memory.total > budgetBytes) {
    const found = `${memory.total} bytes (weights ${memory.weights}, KV cache ${memory.kv})`;
    throw new PronkError("out_of_memory", `stage: ${found}, the budget is ${budgetBytes}`);
  }
  const kernel = selectKernel(runtime.kernels, { now: runtime.now });
  const stage = new WasmStage(staged, part, sizes, kernel, runtime.memories);
  try {
    await model.loadWeights([{ start: stage.imageStart, bytes: stage.weights }], {
      signal,
      onProgress,
      digest: runtime.digest,
    });
  } catch (error) {
    stage.dispose();
    throw error;
  }
  return {
    stage,
    fingerprint: await packFingerprint(model, sizes.kv),
    instance: `${runtime.wallClock().toString(36)}-${runtime.randomSeed().toString(36)}`,
  };
}
