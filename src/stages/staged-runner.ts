/**
 * A runner over stages: rows go through their layers one after the other, through the vocabulary's parts at once. Engine,
 * sampler and caches above it see a model in one memory.
 *
 * What the head's parts give is joined in the order of the vocabulary: logits lie one part behind the other, so that
 * whatever is computed of them (log-sum-exp, the k largest) is what it is in one memory, bit by bit; an arg max is that
 * of the parts' own, of which the lowest id wins a tie.
 */
import type { LoraAdapter } from "../adapters/lora-adapter.ts";
import type { Batch, CachedLayer, KvType, MemoryUse, Runner } from "../backends/backend.ts";
import { checkBatch, checkStates } from "../backends/check-batch.ts";
import { PronkError } from "../errors.ts";
import type { Plan } from "../model/plan.ts";
import { ropeDependsOnLength } from "../model/rope.ts";
import { after, inOrder, settle, together } from "./settle.ts";
import { NO_ID, type Stage, type StageCache, type StageReply, type StageRequest } from "./stage.ts";
import { sizeOf } from "./stage-part.ts";
import { checkParts, type StagesPlan } from "./stage-plan.ts";

export interface StagedRunnerOptions {
  /** Called by dispose(), after the stages'. */
  readonly onDispose?: () => void;
}

/**
 * @param stages in the order of the plan's.
 * @throws PronkError "bad_request" unless they are the plan's.
 */
export function createStagedRunner(
  plan: Plan,
  { options: sizes, memory }: Pick<StagesPlan, "options" | "memory">,
  stages: readonly Stage[],
  options: StagedRunnerOptions = {},
): Runner {
  checkParts(
    plan,
    stages.map(({ info }) => info.part),
  );
  for (const [i, { info }] of stages.entries()) {
    const isSame =
      info.width === plan.config.hidden_size &&
      info.sizes.kv === sizes.kv &&
      info.sizes.ctx >= sizes.ctx &&
      info.sizes.slots >= sizes.slots &&
      info.sizes.maxRows >= sizes.maxRows &&
      info.sizes.maxLogits >= sizes.maxLogits;
    if (!isSame) {
      const found = JSON.stringify({ width: info.width, ...info.sizes });
      throw new PronkError("bad_request", `stages: stage ${i + 1} is of other sizes: ${found}`);
    }
  }
  return new StagedRunner(plan, sizes, memory, stages, options);
}

class StagedRunner implements Runner {
  readonly backend = "wasm";
  readonly kernel: string;
  readonly vocab: number;
  readonly width: number;
  readonly ctx: number;
  readonly slots: number;
  readonly maxRows: number;
  readonly maxLogits: number;
  readonly isCutDependent: boolean;
  readonly kv: KvType;
  readonly layers: number;
  readonly memory: MemoryUse;
  /** Each stage has its own. */
  readonly weights: Uint8Array = new Uint8Array(0);
  readonly adapterBytes = 0;

  readonly #stages: readonly Stage[];
  readonly #options: StagedRunnerOptions;
  readonly #outputs: number;
  /** (maxLogits, outputs), made when first needed. */
  #logits: Float32Array | undefined;
  readonly #best: BestRows;
  #states: Float32Array = new Float32Array(0);
  #count = 0;
  #has: "nothing" | "states" | "logits" | "argmax" = "nothing";
  #isBusy = false;
  #disposed = false;

  constructor(
    plan: Plan,
    sizes: StagesPlan["options"],
    memory: MemoryUse,
    stages: readonly Stage[],
    options: StagedRunnerOptions,
  ) {
    this.kernel = stages[0].info.kernel;
    this.vocab = plan.config.vocab_size;
    this.width = plan.config.hidden_size;
    this.ctx = sizes.ctx;
    this.slots = sizes.slots;
    this.maxRows = sizes.maxRows;
    this.maxLogits = sizes.maxLogits;
    this.kv = sizes.kv;
    this.layers = plan.config.num_hidden_layers;
    this.isCutDependent = ropeDependsOnLength(plan.config);
    this.memory = memory;
    this.#outputs = plan.outputs;
    this.#stages = stages;
    this.#options = options;
    const count = sizes.maxLogits;
    this.#best = { ids: new Int32Array(count), values: new Float32Array(count) };
  }

  /** A promise only where a stage gives one. */
  forward(batch: Batch): void | Promise<void> {
    if (this.#disposed) throw new PronkError("engine_failed", "disposed");
    if (this.#isBusy) throw new PronkError("bad_request", "batch: one is being run");
    checkBatch(batch, this, { width: this.width, masks: false });
    if (batch.spans.some(({ adapters }) => adapters && adapters.length > 0)) {
      throw new PronkError("bad_request", "batch: stages run no adapters");
    }
    this.#count = 0;
    this.#has = "nothing";
    this.#best.ids.fill(NO_ID);
    this.#best.values.fill(Number.NEGATIVE_INFINITY);
    const running = this.#run(batch);
    if (running === undefined) return undefined;
    this.#isBusy = true;
    return running.finally(() => {
      this.#isBusy = false;
    });
  }

  #run(batch: Batch): undefined | Promise<void> {
    const rows = batch.ids.length;
    const work: Work = {
      batch,
      rows,
      wanted: batch.logitsRows,
      x: batch.embeds,
      head: headOf(batch),
    };
    const layered = this.#stages.filter(({ info }) => sizeOf(info.part.layers) > 0);
    return after(this.#embed(work, layered[0]), () =>
      after(
        inOrder(layered, (stage) => this.#layers(work, stage, layered[0])),
        () => this.#finish(work, layered[layered.length - 1]),
      ),
    );
  }

  /** Rows of the residual stream, each from the stage that has the token's; the first layers' embeds its own itself. */
  #embed(work: Work, first: Stage): undefined | Promise<void> {
    if (work.x) return undefined;
    const { rows, batch } = work;
    const calls: (undefined | Promise<void>)[] = [];
    let joined: Float32Array | undefined;
    for (const stage of this.#stages) {
      const { embedding } = stage.info.part;
      if (stage === first || sizeOf(embedding) === 0) continue;
      const own: number[] = [];
      for (let row = 0; row < rows; row++) {
        const id = batch.ids[row];
        if (id >= embedding.from && id < embedding.to) own.push(row);
      }
      if (own.length === 0) continue;
      const x = (joined ??= work.x = new Float32Array(rows * this.width));
      const ids = Int32Array.from(own, (row) => batch.ids[row]);
      const reply = stage.run({ rows: own.length, ids, wanted: [], head: "none" });
      calls.push(
        settle(reply, (given) => {
          const found = expect(given.x, own.length * this.width, "rows");
          for (const [i, row] of own.entries()) {
            x.set(found.subarray(i * this.width, (i + 1) * this.width), row * this.width);
          }
        }),
      );
    }
    return together(calls);
  }

  #layers(work: Work, stage: Stage, first: Stage): undefined | Promise<void> {
    const { rows, batch, wanted } = work;
    const { part } = stage.info;
    const isLast = part.layers.to === this.layers;
    const ids = stage === first && !batch.embeds ? this.#idsOf(stage, work) : undefined;
    const needsX = ids === undefined || ids.includes(NO_ID);
    const isAsked = work.head !== "none" && wanted.length > 0;
    const hasHead = isLast && sizeOf(part.head) > 0 && isAsked;
    const request: StageRequest = {
      rows,
      ...(ids && { ids }),
      ...(needsX && { x: work.x }),
      spans: batch.spans,
      wanted: isLast ? wanted : [],
      head: hasHead ? work.head : "none",
    };
    return settle(stage.run(request), (reply) => {
      if (!isLast) {
        work.x = expect(reply.x, rows * this.width, "rows");
      } else if (wanted.length > 0) {
        // The stage's next call, another part of the head, may write over them.
        this.#states = expect(reply.states, wanted.length * this.width, "states").slice();
        if (hasHead) this.#join(stage, work, reply);
      }
    });
  }

  /** Which rows the stage embeds; undefined: none. */
  #idsOf(stage: Stage, { batch, rows }: Work): Int32Array | undefined {
    const { from, to } = stage.info.part.embedding;
    const ids = Int32Array.from({ length: rows }, (_, row) => {
      const id = batch.ids[row];
      return id >= from && id < to ? id : NO_ID;
    });
    return ids.some((id) => id !== NO_ID) ? ids : undefined;
  }

  #finish(work: Work, last: Stage): undefined | Promise<void> {
    const { wanted, head } = work;
    const count = wanted.length;
    const done = (): undefined => {
      this.#count = count;
      this.#has = head === "none" ? "states" : head;
      return undefined;
    };
    if (head === "none" || count === 0) return done();
    const calls = this.#stages
      .filter((stage) => stage !== last && sizeOf(stage.info.part.head) > 0)
      .map((stage) => {
        const asked = { rows: count, wanted: wanted.map((_, i) => i), states: this.#states, head };
        return settle(stage.run(asked), (reply) => this.#join(stage, work, reply));
      });
    return after(together(calls), done);
  }

  #join({ info }: Stage, { wanted, head }: Work, reply: StageReply): void {
    const { from } = info.part.head;
    const own = sizeOf(info.part.head);
    const count = wanted.length;
    if (head === "logits") {
      const logits = expect(reply.logits, count * own, "logits");
      this.#logits ??= new Float32Array(this.maxLogits * this.#outputs);
      for (let i = 0; i < count; i++) {
        this.#logits.set(logits.subarray(i * own, (i + 1) * own), i * this.#outputs + from);
      }
      return;
    }
    const { best } = reply;
    const isWhole = best?.ids.length === count && best.values.length === count;
    if (!best || !isWhole || best.ids.some((id) => id < from || id >= info.part.head.to)) {
      throw wrongReply("no arg max of its rows");
    }
    takeBetter(this.#best, best);
  }

  logits(index: number): Float32Array {
    this.#checkIndex(index, ["logits"]);
    const all = this.#logits as Float32Array;
    return all.subarray(index * this.#outputs, (index + 1) * this.#outputs);
  }

  states(index: number): Float32Array {
    checkStates(index, this.#count, this.#has === "states");
    return this.#states.subarray(index * this.width, (index + 1) * this.width);
  }

  argmax(index: number): number {
    this.#checkIndex(index, ["logits", "argmax"]);
    // Of logits that are all not numbers, as the kernel has it.
    if (this.#has === "argmax") return Math.max(0, this.#best.ids[index]);
    return argmax(this.logits(index));
  }

  #checkIndex(index: number, has: readonly string[]): void {
    const isThere = Number.isInteger(index) && index >= 0 && index < this.#count;
    if (isThere && has.includes(this.#has)) return;
    throw new PronkError("bad_request", `logits ${index} of ${this.#count} (${this.#has})`);
  }

  copySlot(from: number, to: number, positions: number): void {
    for (const stage of this.#stages) {
      if (sizeOf(stage.info.part.layers) > 0) stage.copySlot(from, to, positions);
    }
  }

  readCache(slot: number, layer: number, positions: number): CachedLayer {
    return this.#cacheOf(layer).read(slot, layer, positions);
  }

  get positionBytes(): number {
    return this.#cacheOf(0).positionBytes();
  }

  saveCache(slot: number, layer: number, positions: number): Uint8Array {
    return this.#cacheOf(layer).save(slot, layer, positions);
  }

  loadCache(slot: number, layer: number, positions: number, saved: Uint8Array): void {
    this.#cacheOf(layer).load(slot, layer, positions, saved);
  }

  #cacheOf(layer: number): StageCache {
    const stage = this.#stages.find(
      ({ info: { part } }) => layer >= part.layers.from && layer < part.layers.to,
    );
    if (stage?.cache) return stage.cache;
    throw new PronkError(
      "unsupported",
      `stages: the cache of layer ${layer} is not in this process`,
    );
  }

  async loadAdapter(_adapter: LoraAdapter): Promise<number> {
    throw new PronkError("unsupported", "adapters: stages run none; merge it into the weights");
  }

  unloadAdapter(handle: number): void {
    throw new PronkError("bad_request", `adapter ${handle} is not loaded`);
  }

  dispose(): void {
    this.#disposed = true;
    for (const stage of this.#stages) stage.dispose();
    this.#options.onDispose?.();
  }
}

/** Of each row, the id with the largest logit so far. */
interface BestRows {
  readonly ids: Int32Array;
  readonly values: Float32Array;
}

/** A batch on its way. */
interface Work {
  readonly batch: Batch;
  readonly rows: number;
  readonly wanted: readonly number[];
  readonly head: StageRequest["head"];
  /** (rows, width) the residual stream behind the stages that have run. */
  x: Float32Array | undefined;
}

function headOf({ states, argmax, logitsRows }: Batch): StageRequest["head"] {
  if (states || logitsRows.length === 0) return "none";
  return argmax ? "argmax" : "logits";
}

/** The larger value, of equal ones the lower id; NaN never. */
function takeBetter(found: BestRows, part: BestRows): void {
  for (let i = 0; i < part.ids.length; i++) {
    const gain = part.values[i] - found.values[i];
    const isTie = part.values[i] === found.values[i];
    const isFirst = found.ids[i] === NO_ID || part.ids[i] < found.ids[i];
    if (!(isTie ? isFirst : gain > 0)) continue;
    found.ids[i] = part.ids[i];
    found.values[i] = part.values[i];
  }
}

function argmax(logits: Float32Array): number {
  let best = 0;
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    if (logits[i] > most) {
      most = logits[i];
      best = i;
    }
  }
  return best;
}

/** A stage answers what it was asked, or it is none that can be relied on. */
function expect(values: Float32Array | undefined, length: number, what: string): Float32Array {
  if (values?.length === length) return values;
  throw wrongReply(`${values?.length ?? "no"} numbers of ${what}, not ${length}`);
}

function wrongReply(what: string): PronkError {
  return new PronkError("engine_failed", `stages: a stage answered ${what}`);
}
