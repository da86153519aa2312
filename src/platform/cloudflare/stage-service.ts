/**
 * One stage of a model as a Worker of its own: its isolate's 128 MB hold this part and nothing else. Fronts open a
 * session for a generation and run its batches in it: one invocation, however many tokens.
 */
// For projects whose own `lib` is older, and who check the types of packages.
/// <reference lib="esnext.disposable" preserve="true" />
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
import { MemoryPool } from "../../backends/wasm/memory-pool.ts";
import { loadStage } from "../../engine/load-stage.ts";
import type { Runtime } from "../../engine/runtime.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { type HostedStage, StageHost, type StageSession } from "../../stages/stage-host.ts";
import { parseStageSpec, type StageSpec } from "../../stages/stage-spec.ts";
import { now, randomSeed, wallClock } from "../clock.ts";
import { boundPack } from "./bound-pack.ts";
import { createSharedLoad } from "./shared-load.ts";
import { yieldTask } from "./yield.ts";

/** Of a Worker's 128 MB, in 10^6 bytes: the rest is JavaScript's and a shard's of which the stage needs a part. */
const BUDGET_BYTES = 108_000_000;

export interface StageServiceOptions<Env> {
  /** The package's two modules, imported by the Worker. */
  readonly kernels: Runtime["kernels"];
  /** Where the whole model's pack is; the stage's shards are read of it. */
  readonly pack: (env: Env) => SourceFolder;
  /** Which part, as `pronk deploy` writes it into the script's variables: an object or its JSON. */
  readonly stage: (env: Env) => StageSpec | string;
  /** Of its WebAssembly.Memory. Default 108 MB. */
  readonly budgetBytes?: number;
}

export type StageServiceClass<Env> = new (
  // biome-ignore lint/suspicious/noExplicitAny: Cloudflare's type of a context is not ours
  context: any,
  env: Env,
) => WorkerEntrypoint<Env> & { open(): StageSessionTarget };

/** A front is silent for as long as it computes: the rest of a token. What is longer has ended without a word. */
const LEASE_MS = 10_000;

/** Slots are those of answers that have just ended, most often. */
const SLOT_WAIT_MS = 5_000;

/** A session, passed by reference. Fronts close it; of one that was cancelled nobody tells, its lease runs out. */
class StageSessionTarget extends RpcTarget {
  readonly #session: StageSession;

  constructor(session: StageSession) {
    super();
    this.#session = session;
  }

  answer(message: Uint8Array): Promise<Uint8Array> {
    return this.#session.answer(message);
  }

  close(): void {
    this.#session.close();
  }

  [Symbol.dispose](): void {
    this.#session.close();
  }
}

/** @example export default stageService<Env>({ kernels: { relaxed, plain }, pack, stage: (env) => env.PRONK_STAGE }); */
export function stageService<Env>(options: StageServiceOptions<Env>): StageServiceClass<Env> {
  const { kernels, pack, budgetBytes = BUDGET_BYTES } = options;
  const memories = new MemoryPool();
  const runtime: Runtime = { kernels, memories, yieldTask, now, wallClock, randomSeed };
  const load = createSharedLoad<HostedStage>(
    undefined,
    undefined,
    // After a trap the stage is loaded again; fronts read what they had in it once more.
    ({ stage }) => stage.failure !== undefined,
  );
  let bound: Env | undefined;
  const get = (): Promise<HostedStage> =>
    load.get((onProgress) => {
      const env = bound as Env;
      return loadStage(boundPack(pack, env), parseStageSpec(options.stage(env)), runtime, {
        budgetBytes,
        onProgress: ({ loaded, total }) => onProgress(loaded / total),
      });
    });
  const host = new StageHost(get, { leaseMs: LEASE_MS, now, waitMs: SLOT_WAIT_MS });
  return class Stage extends WorkerEntrypoint<Env> {
    override fetch(): Response {
      return new Response("a stage: it answers its fronts' calls alone\n", { status: 404 });
    }

    open(): StageSessionTarget {
      bound = this.env;
      // The load outlives the session that began it.
      this.ctx.waitUntil(get().catch(() => undefined));
      return new StageSessionTarget(host.connect());
    }
  };
}
