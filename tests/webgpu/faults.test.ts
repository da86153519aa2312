/** What becomes of a model on a GPU when the GPU does not do as it should: each case ends in the right tokens. */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { createReferenceRunner } from "../../src/backends/reference/reference-runner.ts";
import { createWebgpuRunner } from "../../src/backends/webgpu/webgpu-runner.ts";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { createEngine } from "../../src/engine/create-engine.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { GpuPlatform } from "../../src/engine/gpu-platform.ts";
import { type LoadOptions, loadModel, planOpened } from "../../src/engine/load-model.ts";
import type { LoadedModel } from "../../src/engine/loaded-model.ts";
import { openCheckpoint } from "../../src/engine/open-checkpoint.ts";
import { openHostGpu } from "../../src/engine/open-host-gpu.ts";
import type { Runtime } from "../../src/engine/runtime.ts";
import type { FloatTensor } from "../../src/formats/float-tensor.ts";
import type { GenerateRequest } from "../../src/generate/request.ts";
import { EMBEDDING } from "../../src/model/tensors.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { randomCheckpoint } from "../support/random-checkpoint.ts";
import { openDawn } from "./dawn.ts";

const MODEL = "tests/goldens/tokenizers/tok_bpe.gguf";
const input = { gguf: [memorySource(new Uint8Array(readFileSync(MODEL)), MODEL)] };

const base: Runtime = {
  kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
  yieldTask: () => new Promise((resolve) => setImmediate(resolve)),
  now: () => performance.now(),
  wallClock: () => Date.now(),
  randomSeed: () => 1,
};

/** What a test changes of an adapter, and of the devices that it gives. */
interface Changes {
  readonly info?: Partial<GPUAdapterInfo>;
  /** Instead of the adapter's own. */
  readonly open?: (
    adapter: GPUAdapter,
    descriptor: GPUDeviceDescriptor | undefined,
    count: number,
  ) => Promise<GPUDevice>;
  /** How many adapters there are, one after the other. */
  readonly adapters?: number;
}

/** lavapipe as another adapter: native objects take no stand-ins, but the adapter is only asked. */
function changedHost(changes: Changes = {}): GpuPlatform & { readonly devices: GPUDevice[] } {
  const devices: GPUDevice[] = [];
  let adapters = 0;
  const change = (adapter: GPUAdapter): GPUAdapter => {
    const { vendor, architecture, device, description } = adapter.info;
    const own = { vendor, architecture, device, description, isFallbackAdapter: true };
    return {
      info: { ...own, ...changes.info },
      limits: adapter.limits,
      features: adapter.features,
      async requestDevice(descriptor?: GPUDeviceDescriptor) {
        const opened = changes.open
          ? await changes.open(adapter, descriptor, devices.length)
          : await adapter.requestDevice(descriptor);
        devices.push(opened);
        return opened;
      },
    } as GPUAdapter;
  };
  return {
    devices,
    backend: () => import("../../src/engine/gpu-backend.ts"),
    async open() {
      const gpu = await openDawn();
      return {
        async requestAdapter() {
          if (adapters++ >= (changes.adapters ?? Number.POSITIVE_INFINITY)) return null;
          const found = await gpu.requestAdapter();
          return found && change(found);
        },
      };
    },
  };
}

/** An adapter that nothing shows to be the CPU. */
const REAL = {
  vendor: "acme",
  architecture: "roadrunner",
  device: "gpu",
  description: "",
  isFallbackAdapter: false,
};

const opened: Engine[] = [];
afterEach(async () => {
  for (const engine of opened.splice(0)) await engine.dispose();
});

async function open(
  gpu: Runtime["gpu"],
  options: LoadOptions = {},
  changes: Partial<Runtime> = {},
): Promise<{ engine: Engine; model: LoadedModel }> {
  const runtime = { ...base, ...changes, gpu };
  const model = await loadModel(input, runtime, { slots: 2, ...options });
  const engine = createEngine(model, runtime);
  opened.push(engine);
  return { engine, model };
}

const requests: GenerateRequest[] = [
  { prompt_ids: [1000, 39, 348, 359], max_tokens: 24, temperature: 0, ignore_eos: true },
  { prompt_ids: [5, 1, 4, 9, 11], max_tokens: 20, temperature: 0, ignore_eos: true },
];

/** What the f32 kernels of the reference give. */
const { engine: oracle } = await open(undefined, { backend: "reference" });
const right = await Promise.all(requests.map(async (r) => (await oracle.generate(r)).ids));

async function tokens(engine: Engine): Promise<number[][]> {
  return Promise.all(requests.map(async (request) => (await engine.generate(request)).ids));
}

describe("a device that is destroyed", () => {
  test("in mid-generation: the model is loaded again, and the outputs go on", async () => {
    const host = changedHost();
    const progress: number[] = [];
    const onProgress = ({ loaded, total }: { loaded: number; total: number }): void =>
      void progress.push(loaded / total);
    const { engine, model } = await open(host, { backend: "webgpu", onProgress });
    expect(model.runner.backend).toBe("webgpu");
    const loads = progress.length;
    const outputs = await Promise.all(
      requests.map(async (request, index) => {
        const ids: number[] = [];
        for await (const { token } of engine.stream(request)) {
          ids.push(token);
          if (index === 0 && ids.length === 5) host.devices[0].destroy();
        }
        return ids;
      }),
    );
    expect(outputs).toEqual(right);
    expect(host.devices).toHaveLength(2);
    expect(progress.slice(loads)).toEqual(progress.slice(0, loads));
    // Its prefix cache knows nothing of what the lost one held.
    expect(await tokens(engine)).toEqual(right);
  });

  test("between two requests: the next one finds another", async () => {
    const host = changedHost();
    const { engine } = await open(host, { backend: "webgpu" });
    expect(await tokens(engine)).toEqual(right);
    host.devices[0].destroy();
    expect(await tokens(engine)).toEqual(right);
    expect(host.devices).toHaveLength(2);
  });

  test("again and again: each request survives one, a second one is told", async () => {
    const host = changedHost();
    const { engine } = await open(host, { backend: "webgpu" });
    const [request] = requests;
    const ids: number[] = [];
    const reading = (async () => {
      for await (const { token } of engine.stream(request)) {
        ids.push(token);
        if (ids.length === 3 || ids.length === 9) host.devices.at(-1)?.destroy();
      }
    })();
    await expect(reading).rejects.toMatchObject({
      code: "engine_failed",
      message: expect.stringMatching(/device was lost.*loaded again/),
    });
    expect(ids).toEqual(right[0].slice(0, ids.length));
    expect(await tokens(engine)).toEqual(right);
  });

  test("for good: requests fail with the reason, until there is an adapter again", async () => {
    const changes = { adapters: 1 };
    const host = changedHost(changes);
    const { engine } = await open(host, { backend: "webgpu" });
    host.devices[0].destroy();
    await expect(engine.generate(requests[0])).rejects.toMatchObject({
      code: "engine_failed",
      message: expect.stringContaining("no driver of this machine gives an adapter"),
    });
    changes.adapters = 10;
    expect(await tokens(engine)).toEqual(right);
  });

  test("frees what it held when the engine is disposed", async () => {
    const host = changedHost();
    const { engine } = await open(host, { backend: "webgpu" });
    let closed = 0;
    const { engine: other } = await open(host, {
      backend: "webgpu",
      close: async () => void closed++,
    });
    host.devices[1].destroy();
    await other.generate(requests[0]);
    // It may have to be read again.
    expect(closed).toBe(0);
    await Promise.all([engine.dispose(), other.dispose()]);
    expect(closed).toBe(1);
    const lost = await Promise.all(host.devices.map(({ lost }) => lost));
    expect(lost.map(({ reason }) => reason)).toEqual(["destroyed", "destroyed", "destroyed"]);
  });
});

describe("limits", () => {
  test("that are refused are done without", async () => {
    const asked: (GPUDeviceDescriptor["requiredLimits"] | undefined)[] = [];
    const host = changedHost({
      open(adapter, descriptor) {
        asked.push(descriptor?.requiredLimits);
        if (descriptor?.requiredLimits) throw new DOMException("limits", "OperationError");
        return adapter.requestDevice(descriptor);
      },
    });
    const { engine, model } = await open(host, { backend: "webgpu", threads: 4 });
    expect(await tokens(engine)).toEqual(right);
    expect(asked).toEqual([expect.objectContaining({}), undefined]);
    // And of threads that it has no use for it says so.
    expect(model.info).toMatchObject({
      threads: 1,
      threadsReason: "a GPU's work is launched by one thread",
    });
  });

  test("of 128 MiB a binding are enough, and nothing else is asked for where hosts say so", async () => {
    const asked: unknown[] = [];
    const host = changedHost({
      open(adapter, descriptor) {
        asked.push(descriptor?.requiredLimits);
        return adapter.requestDevice(descriptor);
      },
    });
    const limited: GpuPlatform = { ...host, defaultLimits: true };
    const { engine } = await open(limited, { backend: "webgpu" });
    expect(asked).toEqual([undefined]);
    expect(host.devices[0].limits.maxStorageBufferBindingSize).toBe(128 * 2 ** 20);
    expect(await tokens(engine)).toEqual(right);
  });

  test("of 128 MiB a binding are enough for a table that is larger", async () => {
    const sizes = {
      vocab_size: 1000,
      hidden_size: 128,
      intermediate_size: 128,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      max_position_embeddings: 64,
      tie_word_embeddings: true,
    };
    const options = { quantization: "none", profile: "default" } as const;
    const small = randomCheckpoint(sizes, 5);
    const large = await openCheckpoint(withTable(small, 280_000), options);
    const gpu = await openHostGpu({ ...changedHost(), defaultLimits: true }, { software: true });
    expect(gpu.maxBindingBytes).toBe(128 * 2 ** 20);
    expect(large.tensors[0].bytes).toBeGreaterThan(gpu.maxBindingBytes);
    const { plan, runner: sizesOf } = planOpened(large, { slots: 1, chunk: 8 }, gpu);
    const { tensors, weightBytes } = large;
    const runner = await createWebgpuRunner(plan, tensors, weightBytes, gpu, sizesOf);
    await large.loadWeights(runner.image);
    const expected = createReferenceRunner(plan, tensors, weightBytes, sizesOf);
    await large.loadWeights(expected.weights);
    const ids = [3, 279_999, 140_000, 262_143];
    const spans = [{ slot: 0, start: 0, count: ids.length }];
    for (const one of [runner, expected]) await one.forward({ ids, spans, logitsRows: [3] });
    const difference = runner
      .logits(0)
      .reduce((most, x, i) => Math.max(most, Math.abs(x - expected.logits(0)[i])), 0);
    expect(difference).toBeLessThan(1e-3);
    const places = [131_072, 262_144, 279_999].map((id) => runner.logits(0)[id]);
    expect(places.every((logit) => logit !== 0)).toBe(true);
    runner.dispose();
    gpu.device.destroy();
  });
});

/** The checkpoint with a table of so many rows: its own, again and again. */
function withTable(checkpoint: Checkpoint, vocab_size: number): Checkpoint {
  const own = checkpoint.tensors.get(EMBEDDING)!;
  const [rows, cols] = own.shape;
  const table: FloatTensor = {
    ...own,
    shape: [vocab_size, cols],
    async readRows(first, count, into) {
      const rowBytes = into.length / count;
      for (let row = 0; row < count; ) {
        const from = (first + row) % rows;
        const taken = Math.min(count - row, rows - from);
        const part = into.subarray(row * rowBytes, (row + taken) * rowBytes);
        await own.readRows(from, taken, part);
        row += taken;
      }
    },
  };
  const tensors = new Map([...checkpoint.tensors, [EMBEDDING, table]]);
  return { ...checkpoint, config: { ...checkpoint.config, vocab_size }, tensors };
}

/** Whoever is timed later seems slower: the kernels are. */
function slowingClock(): () => number {
  let step = 0;
  let time = 0;
  return () => (time += ++step);
}

describe("auto", () => {
  test("takes an adapter on which the model's shapes are faster, and says so", async () => {
    const host = changedHost({ info: REAL });
    const { engine, model } = await open(host, {}, { now: slowingClock() });
    expect(model.info).toMatchObject({
      backend: "webgpu",
      backendReason: expect.stringMatching(
        /^webgpu: a token of \d+ of \d+ layers: [\d.]+ ms on acme\/roadrunner\/gpu, [\d.]+ ms by wasm$/,
      ),
    });
    expect(await tokens(engine)).toEqual(right);
  });

  test("takes the kernels where the adapter is slower, and frees it", async () => {
    const host = changedHost({ info: REAL });
    const { model } = await open(host);
    expect(model.info).toMatchObject({
      backend: "wasm",
      backendReason: expect.stringMatching(/^wasm: a token of .* ms on acme/),
    });
    expect((await host.devices[0].lost).reason).toBe("destroyed");
  });

  test("takes the kernels where the GPU has no room, and says so", async () => {
    const message = "not enough memory left";
    const host = changedHost({
      info: REAL,
      async open(adapter, descriptor) {
        const device = await adapter.requestDevice(descriptor);
        let scopes = 0;
        const pop = device.popErrorScope.bind(device);
        // The first is the measurement's.
        device.popErrorScope = async () => {
          const found = await pop();
          return scopes++ === 0 ? found : ({ message } as GPUOutOfMemoryError);
        };
        return device;
      },
    });
    const { model, engine } = await open(host, {}, { now: slowingClock() });
    expect(model.info).toMatchObject({
      backend: "wasm",
      backendReason: `wasm: acme/roadrunner/gpu: webgpu: acme/roadrunner/gpu: ${message}`,
    });
    expect((await engine.generate(requests[0])).ids).toHaveLength(24);
    expect((await host.devices[0].lost).reason).toBe("destroyed");
  });

  test("never takes a software adapter: it asks for no device", async () => {
    const host = changedHost();
    const { model } = await open(host);
    expect(model.info).toMatchObject({
      backend: "wasm",
      backendReason: expect.stringMatching(/^wasm: .*llvmpipe.* is a software adapter$/),
    });
    expect(host.devices).toEqual([]);
  });

  test("does not go on slowly where it went fast: a lost GPU's place is not taken by the CPU", async () => {
    const info = { ...REAL };
    const host = changedHost({ info });
    const { engine, model } = await open(host, {}, { now: slowingClock() });
    expect(model.info.backend).toBe("webgpu");
    info.description = "llvmpipe";
    host.devices[0].destroy();
    await expect(engine.generate(requests[0])).rejects.toThrow(/is a software adapter/);
  });
});

test("where memory is asked for in vain, webgpu says so", async () => {
  const host = changedHost({
    async open(adapter, descriptor) {
      const device = await adapter.requestDevice(descriptor);
      device.popErrorScope = async () => ({ message: "none left" }) as GPUOutOfMemoryError;
      return device;
    },
  });
  await expect(open(host, { backend: "webgpu" })).rejects.toMatchObject({
    code: "out_of_memory",
    message: expect.stringContaining("none left"),
  });
});

test("a snapshot of another backend is read again, one of a GPU is taken as it is", async () => {
  const { engine, model } = await open(changedHost(), { backend: "webgpu" });
  const { engine: kernels, model: other } = await open(undefined, { backend: "wasm" });
  expect(model.info.fingerprint).not.toBe(other.info.fingerprint);
  const saved = await engine.saveSnapshot(requests[0]);
  const { id } = await kernels.loadSnapshot(saved);
  const own = await kernels.saveSnapshot(requests[0]);
  expect((await kernels.loadSnapshot(own)).id).toBe(id);
  const { engine: same } = await open(changedHost(), { backend: "webgpu" });
  await same.loadSnapshot(saved);
  const { ids, timings } = await same.generate(requests[0]);
  expect(ids).toEqual(right[0]);
  expect(timings.cached_n).toBeGreaterThan(0);
});
