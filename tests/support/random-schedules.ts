/**
 * Requests of an engine, and one by one what each gives alone, in a runner of its own: what random schedules are compared
 * with, to the last bit of every log-probability, vector and cached key.
 */
import type { KvType, Runner } from "../../src/backends/backend.ts";
import type { EngineOptions, LocalEngine } from "../../src/engine/create-engine.ts";
import type { CallOptions, Engine } from "../../src/engine/engine.ts";
import { bitsAt } from "../../src/generate/random.ts";
import type { AdapterChoice, GenerateRequest, TokenPart } from "../../src/generate/request.ts";
import { planLlama } from "../../src/model/plan.ts";
import type { MatrixForm } from "../../src/pack/forms.ts";
import type { CreateRunner } from "../conformance/backends.ts";
import { collect, engineOver } from "../unit/engine/toy-engine.ts";
import type { MemoryFolder } from "./memory-folder.ts";
import { randomLoraFolder } from "./random-lora.ts";
import { smallLlama } from "./small-llama.ts";

/** As many as the toy tokenizer has. */
const VOCAB = 64;
const CTX = 96;

/** Whole numbers in [0, below), the same for a seed. */
export type Picker = (below: number) => number;

export function picker(seed: number): Picker {
  let draws = 0;
  return (below) => Number(bitsAt(BigInt(seed), draws++) % BigInt(below));
}

export interface ScheduledModel {
  readonly form: MatrixForm;
  readonly kv: KvType;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly adapters: ReadonlyMap<string, MemoryFolder>;
}

const FORMS = ["q4m", "q8", "q4", "q6m", "q4s", "bf16", "f32"] as const;
const KVS = ["int16", "int8", "f32", "bf16"] as const;
const HEADS = [
  [4, 2, 16],
  [3, 1, 32],
  [2, 2, 48],
  [8, 2, 8],
] as const;

export async function randomModel(pick: Picker): Promise<ScheduledModel> {
  const [heads, kvHeads, headDim] = HEADS[pick(HEADS.length)];
  const fields = {
    vocab_size: VOCAB,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    tie_word_embeddings: pick(2) === 0,
    attention_bias: pick(3) === 0,
  };
  const lora = { hidden: 64, kvDim: kvHeads * headDim, layers: 2, size: 0.2 };
  const adapters = new Map<string, MemoryFolder>();
  // q_proj of the writer is as wide as the model.
  if (heads * headDim === lora.hidden) {
    for (const [i, name] of ["a", "b"].entries()) {
      adapters.set(name, await randomLoraFolder(name, { ...lora, r: 4 + 4 * i, seed: 5 + i }));
    }
  }
  return { form: FORMS[pick(FORMS.length)], kv: KVS[pick(KVS.length)], fields, adapters };
}

export interface Sizes {
  readonly slots: number;
  readonly maxRows: number;
  readonly maxLogits: number;
}

export async function openEngine(
  { form, kv, fields }: ScheduledModel,
  create: CreateRunner,
  sizes: Sizes,
  options: EngineOptions & { readonly now?: () => number } = {},
  wrap: (runner: Runner) => Runner = (runner) => runner,
): Promise<LocalEngine> {
  const { now = () => 0, ...rest } = options;
  const { config, entries } = smallLlama(form, fields);
  const runner = await create(planLlama(config), entries, { ctx: CTX, kv, ...sizes });
  return engineOver(wrap(runner), { maxQueue: 1000, ...rest, runtime: { now } }).engine;
}

/** What is asked of an engine. */
export type Job =
  | { readonly do: "generate"; readonly request: GenerateRequest }
  | { readonly do: "snapshot"; readonly request: SnapshotRequest }
  | { readonly do: "embed"; readonly ids: readonly number[] }
  | { readonly do: "logprobs"; readonly ids: readonly number[] };

type SnapshotRequest = { readonly [Key in "prompt_ids" | "adapters"]: GenerateRequest[Key] };

/** Everything of a part that a client can see. */
export type Seen = readonly TokenPart[] | Uint8Array | readonly Float32Array[] | object;

/** Texts that begin alike, so that caches are gone on from; each job has a result of its own. */
export function randomJobs(pick: Picker, count: number, model: ScheduledModel): Job[] {
  const begin = Array.from({ length: 40 }, () => 1 + pick(VOCAB - 1));
  const text = (most: number): number[] => [
    ...begin.slice(0, pick(begin.length)),
    ...Array.from({ length: 1 + pick(most) }, () => 1 + pick(VOCAB - 1)),
  ];
  const adaptersOf = (): { adapters?: AdapterChoice[] } => {
    if (model.adapters.size === 0 || pick(3) > 0) return {};
    const names = [...model.adapters.keys()].filter(() => pick(2) === 0);
    return { adapters: names.map((name) => ({ name, scale: 1 + pick(2) })) };
  };
  return Array.from({ length: count }, (): Job => {
    switch (pick(9)) {
      case 0:
        return {
          do: "snapshot",
          request: { prompt_ids: text(20), adapters: adaptersOf().adapters },
        };
      case 1:
        return { do: "embed", ids: text(30) };
      case 2:
        return { do: "logprobs", ids: text(30) };
      default:
        return { do: "generate", request: randomRequest(pick, text(30), adaptersOf()) };
    }
  });
}

function randomRequest(
  pick: Picker,
  prompt_ids: number[],
  more: { adapters?: AdapterChoice[] },
): GenerateRequest {
  const sampled = pick(2) === 0;
  return {
    prompt_ids,
    max_tokens: 1 + pick(24),
    ignore_eos: pick(3) > 0,
    ...(sampled ? { temperature: 1 + pick(2), seed: pick(1000) } : { temperature: 0 }),
    ...(sampled && pick(2) === 0 && { top_k: 2 + pick(20) }),
    ...(sampled && pick(3) === 0 && { top_p: 0.8, repetition_penalty: 1.2 }),
    ...(pick(2) === 0 && { top_logprobs: pick(4) }),
    ...(pick(4) === 0 && { prediction_ids: Array.from({ length: 8 }, () => 1 + pick(VOCAB - 1)) }),
    ...(pick(5) === 0 && { grammar: { type: "regex", pattern: "[0-9A-Z]{3,12}" } as const }),
    ...more,
  };
}

/** What a job gives. */
export async function runJob(
  engine: Engine,
  job: Job,
  call: Pick<CallOptions, "signal" | "cacheSalt"> = {},
): Promise<Seen> {
  switch (job.do) {
    case "generate":
      return collect(engine.stream(job.request, call));
    case "snapshot":
      return engine.saveSnapshot(job.request, call);
    case "embed":
      return engine.embed([job.ids], call);
    case "logprobs":
      return engine.promptLogprobs([job.ids], { ...call, top_logprobs: 2 });
  }
}

/** What it gives alone: one slot, one thread, nothing before it, nothing run ahead. */
export async function runAlone(
  model: ScheduledModel,
  create: CreateRunner,
  job: Job,
): Promise<Seen> {
  const engine = await openEngine(
    model,
    create,
    { slots: 1, maxRows: CTX, maxLogits: 1 },
    { speculate: "off" },
  );
  for (const [name, folder] of model.adapters) await engine.loadAdapter(name, folder);
  const seen = await runJob(engine, job);
  await engine.dispose();
  return seen;
}
