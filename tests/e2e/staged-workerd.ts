/** Stages as scripts of their own in one local workerd, bound to a front, with the pack in R2. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { Miniflare } from "miniflare";
import { bundle, packObjects, patched, type WorkerdOptions } from "../../src/cli/workerd.ts";
import { planOf } from "../../src/engine/load-stage.ts";
import { openPack } from "../../src/engine/open-pack.ts";
import { readManifest } from "../../src/pack/loader.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { planStages, type StageOptions, type StagesPlan } from "../../src/stages/stage-plan.ts";
import { stageSpec } from "../../src/stages/stage-spec.ts";

const PREFIX = "model";

/** To a Worker of this process; sixteen megabytes at most. */
const REQUEST_MS = 60_000;

const here = import.meta.dirname;

export interface StageCounts {
  readonly invocations: number;
  readonly sessions: number;
  readonly answers: number;
  readonly ms: number;
}

export interface StagedWorkerd {
  readonly url: string;
  readonly plan: StagesPlan;
  counts(): Promise<StageCounts[]>;
  /** So many of the stage's next messages are not answered. */
  fail(stage: number, messages: number): Promise<void>;
  close(): Promise<void>;
}

export interface StagedWorkerdOptions
  extends Pick<WorkerdOptions, "bucketFolder" | "patchKernels"> {
  /** Gets what workerd writes: of stubs that nobody disposed, say. */
  readonly onWarning?: (text: string) => void;
}

export async function startStagedWorkerd(
  pack: string,
  sizes: Omit<StageOptions, "kv">,
  stageBytes: number,
  { bucketFolder, patchKernels, onWarning }: StagedWorkerdOptions = {},
): Promise<StagedWorkerd> {
  const folder = directoryFolder(nodeHost, pack);
  const model = await openPack(folder);
  const { shards } = await readManifest(folder);
  const shardBytes = shards.map(({ bytes }) => bytes);
  const options = { ...sizes, kv: model.facts.quantization.kv };
  const staged = { plan: planOf(model), tensors: model.tensors, shardBytes };
  const plan = planStages(staged, options, { stageBytes });
  const modules = patched(await bundle(join(here, "stage-worker.ts")), patchKernels);
  const shared = {
    compatibilityDate: "2026-04-01",
    compatibilityFlags: ["enable_request_signal"],
    r2Buckets: { MODELS: "models" },
  };
  const names = plan.stages.map((_, i) => `stage-${i}`);
  const miniflare = new Miniflare({
    cf: false,
    ...(bucketFolder !== undefined && { r2Persist: bucketFolder }),
    // It warns only where it can be looked into.
    ...(onWarning && {
      inspectorPort: 0,
      handleRuntimeStdio: (...streams: Readable[]) => {
        for (const stream of streams) stream.on("data", (data) => onWarning(`${data}`));
      },
    }),
    workers: [
      {
        ...shared,
        name: "front",
        modules: await bundle(join(here, "staged-worker.ts")),
        bindings: { PACK: PREFIX },
        serviceBindings: Object.fromEntries(names.map((name, i) => [`STAGE_${i}`, name])),
      },
      ...plan.stages.map((stage, i) => ({
        ...shared,
        name: names[i],
        modules,
        bindings: { PACK: PREFIX, PRONK_STAGE: JSON.stringify(stageSpec(stage, options)) },
      })),
    ],
  });
  // By requests alone: Miniflare's own ways to bindings and Workers block this process until workerd answers.
  const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const signal = AbortSignal.timeout(REQUEST_MS);
    return fetch(`${url.origin}/${path}`, { ...init, signal });
  };
  const url = await miniflare.ready;
  try {
    for (const object of await packObjects(pack)) {
      const path = `objects/${PREFIX}/${object}`;
      if ((await ask(path, { method: "HEAD" })).ok) continue;
      const { ok } = await ask(path, { method: "PUT", body: await readFile(join(pack, object)) });
      if (!ok) throw new Error(`workerd: ${object} is not in the bucket`);
    }
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
  const counted = async (stage: number): Promise<StageCounts> =>
    (await ask(`stages/${stage}/`)).json() as Promise<StageCounts>;
  return {
    url: url.origin,
    plan,
    counts: () => Promise.all(names.map((_, stage) => counted(stage))),
    fail: async (stage, messages) => {
      await ask(`stages/${stage}/${messages}`, { method: "POST" });
    },
    close: () => miniflare.dispose(),
  };
}
