import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { MemoryPool } from "../../../src/backends/wasm/memory-pool.ts";
import { createEngine } from "../../../src/engine/create-engine.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { loadModel } from "../../../src/engine/load-model.ts";
import { loadStage, planOf } from "../../../src/engine/load-stage.ts";
import {
  connectStages,
  openStagedPack,
  type StageAddress,
} from "../../../src/engine/load-staged.ts";
import { openPack } from "../../../src/engine/open-pack.ts";
import { packModel } from "../../../src/engine/pack-model.ts";
import type { Runtime } from "../../../src/engine/runtime.ts";
import { PronkError } from "../../../src/errors.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import type { SourceFolder } from "../../../src/sources/source.ts";
import { keepLoaded, StageHost } from "../../../src/stages/stage-host.ts";
import { planStages } from "../../../src/stages/stage-plan.ts";
import { parseStageSpec, stageSpec } from "../../../src/stages/stage-spec.ts";
import { withTrap } from "../../support/trapping-kernels.ts";
import { memoryFolder } from "../pack/memory-folder.ts";

const runtime: Runtime = {
  kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
  yieldTask: () => new Promise((resolve) => setTimeout(resolve)),
  now: () => performance.now(),
  wallClock: () => 1_700_000_000_500,
  randomSeed: () => 1,
};

const SIZES = { ctx: 128, slots: 2, maxRows: 32, maxLogits: 17, kv: "int16" } as const;

async function packed(): Promise<SourceFolder> {
  const path = "tokenizers/tok_bpe.gguf";
  const source = memorySource(new Uint8Array(readFileSync(`tests/goldens/${path}`)), path);
  const folder = memoryFolder("pack");
  await packModel({ gguf: [source] }, folder, { shardBytes: 64 * 1024 });
  return folder;
}

interface Remote {
  readonly hosts: StageHost[];
  readonly addresses: StageAddress[];
  /** Ends a stage's sessions, as its death does; `isDown` until it is back. */
  lose(stage: number): void;
  isDown: boolean;
  messages: number;
}

/** Stages in this process that are talked to in frames alone. */
async function remoteStages(
  pack: SourceFolder,
  count: number,
  { waitMs = 0, stageRuntime = runtime }: { waitMs?: number; stageRuntime?: Runtime } = {},
): Promise<Remote> {
  const model = await openPack(pack);
  const { stages } = planStages({ plan: planOf(model), tensors: model.tensors }, SIZES, {
    stageBytes: 1e9,
    count,
  });
  const open = new Map<number, () => void>();
  const remote: Remote = {
    hosts: [],
    addresses: [],
    isDown: false,
    messages: 0,
    lose: (stage) => open.get(stage)?.(),
  };
  for (const [i, stage] of stages.entries()) {
    const spec = parseStageSpec(JSON.stringify(stageSpec(stage, SIZES)));
    const memories = new MemoryPool();
    const load = keepLoaded(() => loadStage(pack, spec, { ...stageRuntime, memories }));
    const host = new StageHost(load, { waitMs });
    remote.hosts.push(host);
    remote.addresses.push({
      name: `stage ${i}`,
      async connect() {
        if (remote.isDown) throw new PronkError("source_failed", "nobody answers");
        const session = host.connect();
        let isLost = false;
        open.set(i, () => {
          isLost = true;
          session.close();
        });
        return {
          async send(message) {
            remote.messages++;
            if (isLost) throw new PronkError("source_failed", "the connection was closed");
            return session.answer(message);
          },
          close: () => session.close(),
        };
      },
    });
  }
  return remote;
}

async function stagedEngine(pack: SourceFolder, remote: Remote): Promise<Engine> {
  const front = await openStagedPack(pack, runtime);
  return createEngine(await connectStages(front, remote.addresses, runtime), runtime);
}

const ask = { prompt_ids: [5, 9, 2, 7, 1, 3, 8, 8, 4], max_tokens: 12 };

test("generations over stages elsewhere are those of one memory: greedy, drawn, with log-probabilities, in company", async () => {
  const pack = await packed();
  const one = createEngine(await loadModel({ pack }, runtime, SIZES), runtime);
  const remote = await remoteStages(pack, 4);
  const engine = await stagedEngine(pack, remote);
  expect(engine.info).toMatchObject({ stages: 4, slots: 2, fingerprint: one.info.fingerprint });
  const requests = [
    { ...ask, temperature: 0 },
    { ...ask, seed: 3, top_k: 40 },
    { ...ask, seed: 4, top_p: 0.9, top_logprobs: 3 },
    { ...ask, temperature: 0, repetition_penalty: 1.3, prompt_ids: [...ask.prompt_ids, 11] },
  ];
  const found = await Promise.all(requests.map((request) => engine.generate(request)));
  const expected = await Promise.all(requests.map((request) => one.generate(request)));
  expect(found.map(({ ids, logprobs }) => ({ ids, logprobs }))).toEqual(
    expected.map(({ ids, logprobs }) => ({ ids, logprobs })),
  );
  const [vector] = await engine.embed([[4, 5, 6]]);
  expect(vector).toEqual((await one.embed([[4, 5, 6]]))[0]);
  expect(remote.hosts.map(({ sessions }) => sessions)).toEqual([1, 1, 1, 1]);
  await engine.dispose();
  expect(remote.hosts.map(({ sessions }) => sessions)).toEqual([0, 0, 0, 0]);
});

test("a stage that is lost and back is not noticed; one that stays away fails the request, and the next one works", async () => {
  const pack = await packed();
  const remote = await remoteStages(pack, 3);
  const engine = await stagedEngine(pack, remote);
  const whole = await engine.generate({ ...ask, seed: 5 });
  const parts: number[] = [];
  for await (const { token } of engine.stream({ ...ask, seed: 5 })) {
    parts.push(token);
    if (parts.length === 4) remote.lose(1);
  }
  expect(parts).toEqual(whole.ids);

  remote.lose(2);
  remote.isDown = true;
  await expect(engine.generate({ ...ask, seed: 5 })).rejects.toMatchObject({
    code: "engine_failed",
    message: expect.stringContaining("stage lost"),
  });
  remote.isDown = false;
  expect((await engine.generate({ ...ask, seed: 5 })).ids).toEqual(whole.ids);
});

test("a stage whose kernel traps is loaded anew: who met the trap is told, the next request works", async () => {
  const pack = await packed();
  const trap = 77;
  const patched = withTrap(new Uint8Array(readFileSync("wasm/dist/plain.wasm")), trap);
  const kernels = { plain: new WebAssembly.Module(patched) };
  const one = createEngine(await loadModel({ pack }, runtime, SIZES), runtime);
  const whole = await one.generate({ ...ask, max_tokens: 40, seed: 5 });
  expect(whole.ids).not.toContain(trap);
  const remote = await remoteStages(pack, 3, { stageRuntime: { ...runtime, kernels } });
  const engine = await stagedEngine(pack, remote);
  await engine.generate({ ...ask, seed: 5 });
  await expect(engine.generate({ prompt_ids: [trap], max_tokens: 2 })).rejects.toMatchObject({
    code: "engine_failed",
    message: expect.stringContaining("kernel trapped"),
  });
  expect((await engine.generate({ ...ask, max_tokens: 40, seed: 5 })).ids).toEqual(whole.ids);
  await engine.dispose();
  expect(remote.hosts.map(({ sessions }) => sessions)).toEqual([0, 0, 0]);
});

test("who finds the slots taken waits until they are given back, and in vain for so long", async () => {
  const pack = await packed();
  const remote = await remoteStages(pack, 3, { waitMs: 400 });
  const first = await stagedEngine(pack, remote);
  await expect(stagedEngine(pack, remote)).rejects.toMatchObject({ code: "overloaded" });
  const second = stagedEngine(pack, remote);
  const third = stagedEngine(pack, remote);
  await first.dispose();
  // One of them has every stage, not each some.
  const engine = await Promise.any([second, third]);
  await engine.generate({ ...ask, seed: 1 });
  await engine.dispose();
  await (await third).dispose();
  await (await second).dispose();
  expect(remote.hosts.map(({ sessions }) => sessions)).toEqual([0, 0, 0]);
});

test("a generation that is given up stops asking the stages", async () => {
  const pack = await packed();
  const remote = await remoteStages(pack, 2);
  const engine = await stagedEngine(pack, remote);
  const stop = new AbortController();
  const read = async (): Promise<void> => {
    let count = 0;
    for await (const _ of engine.stream({ ...ask, seed: 5 }, { signal: stop.signal })) {
      if (++count === 3) stop.abort();
    }
  };
  await expect(read()).rejects.toMatchObject({ code: "aborted" });
  await new Promise((resolve) => setTimeout(resolve, 30));
  const { messages } = remote;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(remote.messages).toBe(messages);
  expect(engine.stats().busy).toBe(0);
});

test("stages of another model, taken slots and parts that do not make a model are refused", async () => {
  const pack = await packed();
  const remote = await remoteStages(pack, 3);
  const front = await openStagedPack(pack, runtime);
  const other = { ...front, fingerprint: "fp_other" };
  await expect(connectStages(other, remote.addresses, runtime)).rejects.toThrow(
    /stage 0: stage: another model or form: it serves fp_\w+, asked for fp_other/,
  );
  expect(remote.hosts.map(({ sessions }) => sessions)).toEqual([0, 0, 0]);
  await expect(connectStages(front, remote.addresses.slice(1), runtime)).rejects.toThrow(
    /stages: stage 1 has|are in no stage/,
  );
  const taken = await connectStages(front, remote.addresses, runtime, { slots: 2 });
  await expect(connectStages(front, remote.addresses, runtime)).rejects.toMatchObject({
    code: "overloaded",
  });
  taken.runner.dispose();
  (await connectStages(front, remote.addresses, runtime)).runner.dispose();
});
