/**
 * A model whose layers and vocabulary are in stages elsewhere: here are its tokenizer, its template, the engine's slots
 * and what joins the stages' work. No weight is read.
 */
import { PronkError, throwIfAborted } from "../errors.ts";
import { planLlama } from "../model/plan.ts";
import type { SourceFolder } from "../sources/source.ts";
import { openRemoteStage, type RemoteOptions } from "../stages/remote-stage.ts";
import type { Stage } from "../stages/stage.ts";
import { checkParts, joinInfos } from "../stages/stage-plan.ts";
import { createStagedRunner } from "../stages/staged-runner.ts";
import { createTemplateFor } from "../templates/choose-template.ts";
import { configNotes } from "./config-notes.ts";
import { fingerprint } from "./fingerprint.ts";
import { LoadWatch } from "./load-timings.ts";
import type { LoadedModel } from "./loaded-model.ts";
import { openPack } from "./open-pack.ts";
import type { OpenedModel } from "./opened-model.ts";
import type { Runtime } from "./runtime.ts";

/** How a stage is reached: its address, a binding. */
export type StageAddress = Pick<RemoteOptions, "name" | "connect">;

export interface StagedLoadOptions {
  readonly id?: string | undefined;
  /** Of every stage's; default: all that are free. */
  readonly slots?: number | undefined;
  readonly kv?: OpenedModel["facts"]["quantization"]["kv"] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A pack as a front reads it: once, whatever number of sessions. */
export interface StagedPack {
  readonly model: OpenedModel;
  readonly tokenizer: NonNullable<Awaited<ReturnType<OpenedModel["loadTokenizer"]>>>;
  readonly fingerprint: string;
  readonly watch: LoadWatch;
}

/** The fingerprint of a pack's model, of which no weight has to be there. */
export async function packFingerprint(
  model: OpenedModel,
  kv: StagedLoadOptions["kv"] = model.facts.quantization.kv,
): Promise<string> {
  return fingerprint(model, await model.shardHashes([]), { backend: "wasm", kv });
}

/** @throws PronkError as openPack; "unsupported" without a tokenizer. */
export async function openStagedPack(
  pack: SourceFolder,
  runtime: Runtime,
  { kv, signal }: Pick<StagedLoadOptions, "kv" | "signal"> = {},
): Promise<StagedPack> {
  const watch = new LoadWatch(runtime.now);
  const model = await openPack(pack, signal);
  watch.lap("open_ms");
  const tokenizer = await model.loadTokenizer(signal);
  if (!tokenizer) {
    throw new PronkError("unsupported", `${model.facts.source.name}: it has no tokenizer`);
  }
  watch.lap("tokenizer_ms");
  return { model, tokenizer, fingerprint: await packFingerprint(model, kv), watch };
}

/**
 * Opens a session with each stage. They may be given in any order.
 *
 * @throws PronkError as openRemoteStage; "bad_request" where together they are not the model.
 */
export async function connectStages(
  { model, tokenizer, fingerprint: system, watch }: StagedPack,
  addresses: readonly StageAddress[],
  runtime: Runtime,
  options: StagedLoadOptions = {},
): Promise<LoadedModel> {
  const { signal, slots = 0 } = options;
  throwIfAborted(signal);
  const openAll = (some: readonly StageAddress[]): Promise<PromiseSettledResult<Stage>[]> =>
    Promise.allSettled(
      some.map((address) => openRemoteStage({ ...address, fingerprint: system, slots })),
    );
  // The first alone: of two fronts that wait for slots, one must not have some stages and the other the rest.
  const opened = await openAll(addresses.slice(0, 1));
  if (opened[0]?.status === "fulfilled") opened.push(...(await openAll(addresses.slice(1))));
  const stages = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const dispose = (): void => {
    for (const stage of stages) stage.dispose();
  };
  try {
    for (const one of opened) if (one.status === "rejected") throw one.reason;
    stages.sort((a, b) => placeOf(a) - placeOf(b));
    const { config, facts, head } = model;
    const plan = planLlama(config, head === undefined ? {} : { head });
    checkParts(
      plan,
      stages.map(({ info }) => info.part),
    );
    const runner = createStagedRunner(plan, joinInfos(stages.map(({ info }) => info)), stages);
    const template = createTemplateFor(facts.chat_template, tokenizer);
    watch.lap("finish_ms");
    const notes = configNotes(config, runner.backend);
    const { backend, kernel, ctx, vocab, memory } = runner;
    return {
      runner,
      tokenizer,
      template,
      info: {
        id: options.id ?? facts.name,
        created: Math.floor(runtime.wallClock() / 1000),
        ...{ backend, kernel, ctx, slots: runner.slots, vocab, memory },
        threads: 1,
        ...(notes.length > 0 && { notes }),
        ...(head && { labels: head.rows }),
        stages: stages.length,
        fingerprint: system,
        loading: watch.timings(),
      },
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** In the order of the image: embedding rows, layers, rows of the head. */
function placeOf({ info: { part } }: Stage): number {
  const { embedding, layers, head } = part;
  if (embedding.to > embedding.from) return embedding.from - 2 ** 24;
  return layers.to > layers.from ? layers.from : head.from + 2 ** 24;
}
