/** Stages as scripts of their own in one local workerd, bound to a front, with the pack in R2. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Miniflare } from "miniflare";
import { bundle, packObjects } from "../../src/cli/workerd.ts";
import { planOf } from "../../src/engine/load-stage.ts";
import { openPack } from "../../src/engine/open-pack.ts";
import { readManifest } from "../../src/pack/loader.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { planStages, type StageOptions, type StagesPlan } from "../../src/stages/stage-plan.ts";
import { stageSpec } from "../../src/stages/stage-spec.ts";

const PREFIX = "model";
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

export async function startStagedWorkerd(
  pack: string,
  sizes: Omit<StageOptions, "kv">,
  stageBytes: number,
  bucketFolder?: string,
): Promise<StagedWorkerd> {
  const folder = directoryFolder(nodeHost, pack);
  const model = await openPack(folder);
  const { shards } = await readManifest(folder);
  const shardBytes = shards.map(({ bytes }) => bytes);
  const options = { ...sizes, kv: model.facts.quantization.kv };
  const staged = { plan: planOf(model), tensors: model.tensors, shardBytes };
  const plan = planStages(staged, options, { stageBytes });
  const modules = await bundle(join(here, "stage-worker.ts"));
  const shared = {
    compatibilityDate: "2026-04-01",
    compatibilityFlags: ["enable_request_signal"],
    r2Buckets: { MODELS: "models" },
  };
  const names = plan.stages.map((_, i) => `stage-${i}`);
  const miniflare = new Miniflare({
    cf: false,
    ...(bucketFolder !== undefined && { r2Persist: bucketFolder }),
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
  const url = await miniflare.ready;
  const bucket = await miniflare.getR2Bucket("MODELS", "front");
  for (const object of await packObjects(pack)) {
    const key = `${PREFIX}/${object}`;
    if (await bucket.head(key)) continue;
    await bucket.put(key, new Uint8Array(await readFile(join(pack, object))));
  }
  const ask = async (name: string, method: string, path = ""): Promise<StageCounts> => {
    const stage = await miniflare.getWorker(name);
    const response = await stage.fetch(`http://stage/${path}`, { method });
    return (await response.json()) as StageCounts;
  };
  return {
    url: url.href.replace(/\/$/, ""),
    plan,
    counts: () => Promise.all(names.map((name) => ask(name, "GET"))),
    fail: async (stage, messages) => {
      await ask(names[stage], "POST", String(messages));
    },
    close: () => miniflare.dispose(),
  };
}
