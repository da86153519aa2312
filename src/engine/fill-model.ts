/** From a runner without weights to a model that runs: its weights, tokenizer, template and what is known of it. */
import type { Runner } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";
import { subtleDigest } from "../pack/digest.ts";
import type { ImageDestination } from "../pack/image-pieces.ts";
import { plainTemplate } from "../templates/plain-template.ts";
import type { BackendChoice } from "./choose-backend.ts";
import { configNotes } from "./config-notes.ts";
import { contentsHash, fingerprint } from "./fingerprint.ts";
import type { LoadOptions, ModelPlan } from "./load-model.ts";
import type { LoadWatch } from "./load-timings.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { Runtime } from "./runtime.ts";

/** One load, from its start to its end. */
export interface ModelLoad {
  readonly runtime: Runtime;
  readonly options: LoadOptions;
  readonly watch: LoadWatch;
  choice: BackendChoice;
}

export interface CreatedRunner {
  readonly runner: Runner;
  /** Where the weights belong. */
  readonly image: ImageDestination;
  readonly kernelReason?: string;
  /** Why threads that were asked for are not there. */
  readonly threadsReason?: string | undefined;
  /** Of what computes, where that is not the kernels. */
  readonly version?: string;
  /** Of a runner that may read the model again: closes it when the runner is disposed. */
  readonly closeLater?: (close: () => Promise<void>) => void;
}

/**
 * Owns the runner: it is disposed should this fail.
 *
 * @throws PronkError as loadModel.
 */
export async function fillModel(
  planned: ModelPlan,
  { runner, image, kernelReason, threadsReason, version, closeLater }: CreatedRunner,
  { runtime, options, watch, choice }: ModelLoad,
): Promise<LoadedModel> {
  const { model } = planned;
  const { signal, onProgress } = options;
  try {
    const tokenizer = await model.loadTokenizer(signal);
    if (!tokenizer) {
      throw new PronkError("unsupported", `${model.facts.source.name}: it has no tokenizer`);
    }
    watch.lap("tokenizer_ms");
    const { chat_template } = model.facts;
    const plain = options.plainTemplates === true ? plainTemplate(chat_template) : undefined;
    // Loaded beside the weights: Jinja is an eighth of the engine's code.
    const templates = plain === undefined ? import("../templates/choose-template.ts") : undefined;
    templates?.catch(() => {}); // thrown where it is waited for
    const digest = watch.timed(runtime.digest ?? subtleDigest);
    await model.loadWeights(image, { signal, onProgress, digest });
    watch.weightsLap();
    const hashes = await model.shardHashes(image);
    const system = await fingerprint(model, hashes, {
      backend: runner.backend,
      kv: runner.kv,
      ...(version !== undefined && { version }),
    });
    await runner.ready;
    const template = plain ?? (await templates)?.createTemplateFor(chat_template, tokenizer);
    watch.lap("finish_ms");
    const { backend, kernel, ctx, slots, vocab, memory } = runner;
    const notes = configNotes(planned.config, backend);
    if (choice.note !== undefined) notes.push(choice.note);
    const { close } = options;
    if (closeLater === undefined) await close?.();
    else if (close !== undefined) closeLater(close);
    const { used, asked, reason } = runner.threads ?? { used: 1, asked: 1, reason: undefined };
    return {
      runner,
      tokenizer,
      template,
      contents: await contentsHash(model, hashes),
      info: {
        id: options.id ?? model.facts.name,
        created: Math.floor(runtime.wallClock() / 1000),
        backend,
        ...(choice.reason !== undefined && { backendReason: choice.reason }),
        kernel,
        kernelReason,
        threads: used,
        threadsReason: used < asked ? reason : threadsReason,
        ...(notes.length > 0 && { notes }),
        ctx,
        slots,
        vocab,
        ...(model.head && { labels: model.head.rows }),
        ...(planned.stages && { stages: planned.stages.stages.length }),
        memory,
        fingerprint: system,
        loading: watch.timings(),
      },
    };
  } catch (error) {
    // Its threads would live on, and the next load takes its memory.
    runner.dispose();
    throw error;
  }
}
