/**
 * Divides a model among memories that are each too small for it: as few stages as the limit allows, then as equal as
 * that number allows. Each is a consecutive part of the image: rows of the embedding in panels of 16, whole layers, rows
 * of the head. Pure arithmetic over the memory plan: nothing is loaded.
 */
import type { MemoryUse } from "../backends/backend.ts";
import { checkTensors } from "../backends/check-tensors.ts";
import type { RunnerOptions } from "../backends/runner-options.ts";
import { planMemory } from "../backends/wasm/memory-layout.ts";
import { PronkError } from "../errors.ts";
import type { Plan } from "../model/plan.ts";
import { PANEL_ROWS } from "../pack/forms.ts";
import type { PackedTensor } from "../pack/manifest.ts";
import {
  headStep,
  isDivisible,
  isTied,
  NOTHING,
  type PartImage,
  partImage,
  planPart,
  type Range,
  type StagePart,
  sizeOf,
} from "./stage-part.ts";

/** More are refused: each is a script, a session and two copies of the states for every token. */
export const MAX_STAGES = 64;

/** Stages are made equal to within this share of their size: what is left over serves nobody. */
const BALANCE = 1 / 64;

/** What the planner has to know of a model: an OpenedModel has it, and a manifest. */
export interface StageModel {
  readonly plan: Plan;
  /** In image order. */
  readonly tensors: readonly PackedTensor[];
  /** Bytes of each shard, in order, where the image is read in shards. Default: it is read as it is needed. */
  readonly shardBytes?: readonly number[];
}

/** `maxLogits` are rows of a batch, whose logits are divided among the stages that have rows of the head. */
export type StageOptions = Pick<RunnerOptions, "ctx" | "slots" | "maxRows" | "maxLogits" | "kv">;

export interface PlannedStage {
  readonly part: StagePart;
  /** Where the stage's weights are in the model's image, in bytes. */
  readonly start: number;
  readonly end: number;
  /** The shards that hold them: [from, to) of the manifest's. */
  readonly shards: Range;
  /** Of the stage's WebAssembly.Memory. */
  readonly memory: MemoryUse;
  /** Beside it while it loads: the largest shard of which it needs but a part. */
  readonly spareBytes: number;
}

export interface StagesPlan {
  /** In the order of the model's image: a batch goes through their layers from the first to the last. */
  readonly stages: readonly PlannedStage[];
  readonly options: StageOptions;
  /** Beside all stages, where their work is joined: states and logits of a batch. */
  readonly frontBytes: number;
  /** Of all stages' memories. */
  readonly memory: MemoryUse;
}

export interface StageLimit {
  /** Of a stage's memory, and of what it needs beside it to load. */
  readonly stageBytes: number;
  /** At least so many stages. Default 1. */
  readonly count?: number | undefined;
}

/**
 * @throws PronkError "out_of_memory" where a single layer, or a panel of the vocabulary, is over the limit, or more than
 *   MAX_STAGES would be needed; "bad_request" for more stages than the model has parts.
 */
export function planStages(
  model: StageModel,
  options: StageOptions,
  { stageBytes, count = 1 }: StageLimit,
): StagesPlan {
  const planner = new Planner(model, options);
  const least = planner.fill(stageBytes);
  if (typeof least === "number") throw tooLarge(planner, least, stageBytes);
  const wanted = Math.max(count, least.length);
  const stages = planner.balance(least, wanted, stageBytes);
  if (stages.length < count) {
    const found = `${stages.length} parts, ${count} stages were asked for`;
    throw new PronkError("bad_request", `stages: the model can be divided into ${found}`);
  }
  return joinStages(model.plan, options, stages);
}

/** A plan from stages that are given. @throws PronkError "bad_request" unless together they are the model. */
function joinStages(
  plan: Plan,
  options: StageOptions,
  stages: readonly PlannedStage[],
): StagesPlan {
  checkParts(
    plan,
    stages.map(({ part }) => part),
  );
  const { maxRows, maxLogits } = options;
  const width = plan.config.hidden_size;
  return {
    stages,
    options,
    frontBytes: 4 * (maxRows * width + maxLogits * (width + plan.outputs)),
    memory: sumOf(stages.map(({ memory }) => memory)),
  };
}

/** What stages that are elsewhere have together: of each size what all of them have. */
export function joinInfos(
  infos: readonly { readonly sizes: StageOptions; readonly memory: MemoryUse }[],
): Pick<StagesPlan, "options" | "memory"> {
  const least = (name: "ctx" | "slots" | "maxRows" | "maxLogits"): number =>
    Math.min(...infos.map(({ sizes }) => sizes[name]));
  const maxRows = least("maxRows");
  const options = {
    ctx: least("ctx"),
    slots: least("slots"),
    maxRows,
    maxLogits: Math.min(maxRows, least("maxLogits")),
    kv: infos[0].sizes.kv,
  };
  return { options, memory: sumOf(infos.map(({ memory }) => memory)) };
}

function sumOf(uses: readonly MemoryUse[]): MemoryUse {
  const sum = (name: keyof MemoryUse): number => uses.reduce((total, use) => total + use[name], 0);
  return {
    weights: sum("weights"),
    kv: sum("kv"),
    activations: sum("activations"),
    scratch: sum("scratch"),
    total: sum("total"),
  };
}

/** @throws PronkError "bad_request" unless the parts, in this order, are the whole model, each of it once. */
export function checkParts(plan: Plan, parts: readonly StagePart[]): void {
  const ends = {
    embedding: plan.config.vocab_size,
    layers: plan.config.num_hidden_layers,
    head: plan.outputs,
  };
  for (const name of ["embedding", "layers", "head"] as const) {
    let at = 0;
    for (const [i, part] of parts.entries()) {
      const { from, to } = part[name];
      if (from === to) continue;
      if (from !== at || to < from) {
        const expected = `stage ${i + 1} has ${name} ${from} to ${to}, ${at} was expected next`;
        throw new PronkError("bad_request", `stages: ${expected}`);
      }
      at = to;
    }
    if (at !== ends[name]) {
      const found = `${name} ${at} to ${ends[name]} are in no stage`;
      throw new PronkError("bad_request", `stages: ${found}`);
    }
  }
}

/** The plan of one stage. @throws PronkError as planPart and partImage. */
export function planStage(
  { plan, tensors, shardBytes = [] }: StageModel,
  part: StagePart,
  options: StageOptions,
): PlannedStage & { readonly image: PartImage } {
  checkTensors(plan, tensors);
  const image = partImage(plan, part, tensors);
  const { start, end } = image;
  const { use } = planMemory(
    planPart(plan, part).plan,
    image.tensors,
    end - start,
    stageOptions(part, options),
  );
  const { shards, spareBytes } = shardsOf(shardBytes, start, end);
  return { part, start, end, shards, memory: use, spareBytes, image };
}

/** A stage without layers keeps nothing of a slot, and one without a head gives no logits. */
export function stageOptions(part: StagePart, options: StageOptions): RunnerOptions {
  const { ctx, slots, maxRows, maxLogits, kv } = options;
  const hasLayers = part.layers.to > part.layers.from;
  return { ctx: hasLayers ? ctx : 8, slots, maxRows, maxLogits, kv };
}

function shardsOf(
  sizes: readonly number[],
  start: number,
  end: number,
): { readonly shards: Range; readonly spareBytes: number } {
  let from: number | undefined;
  let to = 0;
  let spareBytes = 0;
  let at = 0;
  for (const [i, size] of sizes.entries()) {
    const next = at + size;
    if (next > start && at < end) {
      from ??= i;
      to = i + 1;
      if (at < start || next > end) spareBytes = Math.max(spareBytes, size);
    }
    at = next;
  }
  return { shards: { from: from ?? 0, to }, spareBytes };
}

/**
 * A model as a row of atoms, which a stage has some consecutive ones of: panels of the embedding, layers, panels of the
 * head unless it is the embedding. A head that is not divided belongs to the last layer.
 */
class Planner {
  readonly #model: StageModel;
  readonly #options: StageOptions;
  readonly #panels: number;
  readonly #layers: number;
  readonly #headPanels: number;
  readonly #outputs: number;
  readonly #tied: boolean;
  readonly atoms: number;

  constructor(model: StageModel, options: StageOptions) {
    const { plan } = model;
    this.#model = model;
    this.#options = options;
    this.#panels = Math.ceil(plan.config.vocab_size / PANEL_ROWS);
    this.#layers = plan.config.num_hidden_layers;
    this.#tied = isTied(plan);
    this.#outputs = headStep(plan) ? plan.outputs : 0;
    const isOwnHead = isDivisible(plan) && !this.#tied;
    this.#headPanels = isOwnHead ? Math.ceil(plan.outputs / PANEL_ROWS) : 0;
    this.atoms = this.#panels + this.#layers + this.#headPanels;
  }

  /** Bytes of the stage with these atoms, with what it needs to load. */
  bytes(from: number, to: number): number {
    const { memory, spareBytes } = this.stage(from, to);
    return memory.total + spareBytes;
  }

  stage(from: number, to: number): PlannedStage {
    const { image: _, ...stage } = planStage(this.#model, this.#part(from, to), this.#options);
    return stage;
  }

  /** Stages filled one after the other; the atom that no stage can hold, where there is one. */
  fill(limit: number): readonly PlannedStage[] | number {
    const stages: PlannedStage[] = [];
    for (let from = 0; from < this.atoms; ) {
      if (stages.length === MAX_STAGES || this.bytes(from, from + 1) > limit) return from;
      let fits = from + 1;
      let over = this.atoms + 1;
      while (over - fits > 1) {
        const middle = Math.floor((fits + over) / 2);
        if (this.bytes(from, middle) <= limit) fits = middle;
        else over = middle;
      }
      stages.push(this.stage(from, fits));
      from = fits;
    }
    return stages;
  }

  /** At least `wanted` stages, the largest of them as small as can be. */
  balance(least: readonly PlannedStage[], wanted: number, limit: number): readonly PlannedStage[] {
    let best = least;
    let low = 0;
    let high = limit;
    while (high - low > high * BALANCE) {
      const middle = (low + high) / 2;
      const stages = this.fill(middle);
      if (typeof stages === "number" || stages.length > wanted) {
        low = middle;
        continue;
      }
      high = middle;
      best = stages;
    }
    return this.#split(best, wanted);
  }

  /** Halves the largest that can be halved until there are `wanted`: what the limit alone does not come to. */
  #split(planned: readonly PlannedStage[], wanted: number): readonly PlannedStage[] {
    const stages = [...planned];
    while (stages.length < wanted) {
      const largest = stages
        .filter((stage) => this.#atomsOf(stage) > 1)
        .reduce<PlannedStage | undefined>(
          (most, stage) => (most && most.memory.total >= stage.memory.total ? most : stage),
          undefined,
        );
      if (!largest) break;
      const at = stages.indexOf(largest);
      const before = stages.slice(0, at).reduce((sum, stage) => sum + this.#atomsOf(stage), 0);
      const count = this.#atomsOf(largest);
      const middle = before + Math.ceil(count / 2);
      stages.splice(at, 1, this.stage(before, middle), this.stage(middle, before + count));
    }
    return stages;
  }

  #atomsOf({ part: { embedding, layers, head } }: PlannedStage): number {
    const own = this.#headPanels > 0 ? head : NOTHING;
    return (
      sizeOf(layers) +
      Math.ceil(sizeOf(embedding) / PANEL_ROWS) +
      Math.ceil(sizeOf(own) / PANEL_ROWS)
    );
  }

  describe(atom: number): string {
    if (atom < this.#panels) return `${PANEL_ROWS} rows of the embedding`;
    if (atom < this.#panels + this.#layers) return `layer ${atom - this.#panels}`;
    return `${PANEL_ROWS} rows of the head`;
  }

  #part(from: number, to: number): StagePart {
    const { vocab_size: vocab } = this.#model.plan.config;
    const embedding = rowsOf(from, to, 0, this.#panels, vocab);
    const layers = within(from, to, this.#panels, this.#layers);
    const headAt = this.#panels + this.#layers;
    const ownHead = rowsOf(from, to, headAt, this.#headPanels, this.#outputs);
    if (this.#tied) return { embedding, layers, head: embedding };
    if (this.#headPanels > 0) return { embedding, layers, head: ownHead };
    const isLast = layers.to === this.#layers;
    return { embedding, layers, head: isLast ? { from: 0, to: this.#outputs } : NOTHING };
  }
}

/** Which of `count` atoms from `first` on are in [from, to), counted from `first`. */
function within(from: number, to: number, first: number, count: number): Range {
  const start = Math.min(Math.max(from - first, 0), count);
  const end = Math.min(Math.max(to - first, 0), count);
  return start < end ? { from: start, to: end } : NOTHING;
}

function rowsOf(from: number, to: number, first: number, panels: number, rows: number): Range {
  const found = within(from, to, first, panels);
  return { from: found.from * PANEL_ROWS, to: Math.min(found.to * PANEL_ROWS, rows) };
}

function tooLarge(planner: Planner, atom: number, limit: number): PronkError {
  const needed = planner.bytes(atom, atom + 1);
  const why =
    needed > limit
      ? `a stage with ${planner.describe(atom)} alone needs ${needed} bytes, the limit is ${limit}`
      : `${MAX_STAGES} stages of ${limit} bytes end before ${planner.describe(atom)}`;
  return new PronkError("out_of_memory", `stages: ${why}`);
}
