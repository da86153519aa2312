/**
 * Sizes that lie: whatever configuration, manifest, GGUF, stage or adapter says, what does not fit is refused with a clear error
 * before a kernel runs and before memory is taken.
 */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createReferenceRunner } from "../../../src/backends/reference/reference-runner.ts";
import { createWasmRunner } from "../../../src/backends/wasm/wasm-runner.ts";
import type { Gpu } from "../../../src/backends/webgpu/gpu.ts";
import { createWebgpuRunner } from "../../../src/backends/webgpu/webgpu-runner.ts";
import { loadModel, planModel } from "../../../src/engine/load-model.ts";
import { openPack } from "../../../src/engine/open-pack.ts";
import { packModel } from "../../../src/engine/pack-model.ts";
import type { Runtime } from "../../../src/engine/runtime.ts";
import { PronkError } from "../../../src/errors.ts";
import { parseLlamaConfig } from "../../../src/model/config.ts";
import { planLlama } from "../../../src/model/plan.ts";
import { alignUp, type WeightForm, weightBytes } from "../../../src/pack/forms.ts";
import { planImage } from "../../../src/pack/image-plan.ts";
import { MANIFEST_NAME, type Manifest, type PackedTensor } from "../../../src/pack/manifest.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { planStages } from "../../../src/stages/stage-plan.ts";
import { parseStageSpec } from "../../../src/stages/stage-spec.ts";
import { WasmStage } from "../../../src/stages/wasm-stage.ts";
import { kernelOf } from "../../conformance/backends.ts";
import { smallLlama } from "../../support/small-llama.ts";
import { type MemoryFolder, memoryFolder } from "../pack/memory-folder.ts";

const PATH = "tests/goldens/tokenizers/tok_bpe.gguf";
const runtime: Runtime = {
  kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
  yieldTask: () => new Promise((resolve) => setImmediate(resolve)),
  now: () => performance.now(),
  wallClock: () => 0,
  randomSeed: () => 1,
};

const whole = memoryFolder("pack");
await packModel({ gguf: [memorySource(new Uint8Array(readFileSync(PATH)), PATH)] }, whole, {
  shardBytes: 2 ** 20,
});
const manifest: Manifest = JSON.parse(new TextDecoder().decode(whole.objects.get(MANIFEST_NAME)));

/** The pack with another manifest, whose sums are right. */
function packWith(changes: Partial<Manifest>): MemoryFolder {
  const { checksum: _, signature: __, ...content } = { ...manifest, ...changes };
  const folder = memoryFolder("pack");
  for (const [name, bytes] of whole.objects) folder.objects.set(name, bytes);
  folder.objects.set(MANIFEST_NAME, new TextEncoder().encode(JSON.stringify(content)));
  return folder;
}

/** One tensor with another form or shape: everything behind it moves, and shards are as long as that takes. */
function withTensor(name: string, form: WeightForm, shape: readonly number[]): MemoryFolder {
  let end = 0;
  const tensors = manifest.tensors.map((tensor): PackedTensor => {
    const changed = tensor.name === name ? { ...tensor, form, shape } : tensor;
    const offset = end;
    const bytes = weightBytes(changed.form, changed.shape);
    end = alignUp(offset + bytes);
    return { ...changed, offset, bytes };
  });
  const shards = [];
  for (let left = end; left > 0; left -= 2 ** 20) {
    shards.push({ sha256: "0".repeat(64), bytes: Math.min(left, 2 ** 20) });
  }
  return packWith({ tensors, weight_bytes: end, shards });
}

/** The messages name what is wrong. */
async function expectRefused(attempt: () => unknown, named: RegExp = /./): Promise<void> {
  let found: unknown;
  try {
    found = await attempt();
  } catch (error) {
    expect(error).toBeInstanceOf(PronkError);
    const { code, message } = error as PronkError;
    expect(["bad_format", "bad_request", "unsupported", "out_of_memory"]).toContain(code);
    expect(message).toMatch(named);
    expect(memories).toBe(0);
    return;
  }
  expect.fail(`taken: ${JSON.stringify(found)?.slice(0, 80)}`);
}

/** Counts what is allocated. */
const { Memory } = WebAssembly;
let memories = 0;
beforeEach(() => {
  memories = 0;
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      memories++;
    }
  };
});
afterEach(() => {
  WebAssembly.Memory = Memory;
});

const HOSTILE = [0, -1, 1.5, 3, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, "64", null, [], true];

describe("a configuration", () => {
  const SIZES = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
  ];
  test.each(SIZES)("with another %s than its tensors have", async (field) => {
    for (const value of [...HOSTILE, Number(manifest.config[field] ?? 32) * 2]) {
      const isDefault = value === null && (field === "head_dim" || field === "num_key_value_heads");
      if (isDefault || value === manifest.config[field]) continue;
      const pack = packWith({ config: { ...manifest.config, [field]: value } });
      await expectRefused(() => loadModel({ pack }, runtime));
    }
  });

  test.each([
    ["max_position_embeddings", 0],
    ["max_position_embeddings", 2 ** 31],
    ["rms_norm_eps", 0],
    ["rms_norm_eps", -1],
    ["rope_theta", 0],
    ["rope_theta", 1e-30],
    ["rope_theta", 5e-324],
    ["rope_scaling", { rope_type: "linear", factor: 0 }],
    ["rope_scaling", { rope_type: "linear", factor: 1e-9 }],
    ["rope_scaling", { rope_type: "yarn", factor: 4, attention_factor: 1e300 }],
    ["rope_scaling", { rope_type: "dynamic", factor: Number.NaN }],
    ["hidden_act", "exp"],
  ])("whose %s is %o", async (field, value) => {
    const pack = packWith({ config: { ...manifest.config, [field]: value } });
    await expectRefused(() => loadModel({ pack }, runtime), new RegExp(field));
  });

  test("whose angles are no numbers", async () => {
    const fields = { ...manifest.config, head_dim: undefined };
    const half = parseLlamaConfig(fields, "config").head_dim / 2;
    for (const rope of [
      { rope_theta: 1, rope_scaling: { rope_type: "yarn", factor: 4 } },
      { rope_scaling: { rope_type: "longrope", ...factors(half, 1e-300), factor: 2 } },
      { rope_scaling: { rope_type: "longrope", ...factors(half, 1e-7), factor: 2 } },
    ]) {
      const pack = packWith({ config: { ...manifest.config, ...rope } });
      await expectRefused(() => loadModel({ pack }, runtime), /rope/);
    }
  });
});

const factors = (half: number, factor: number) => ({
  short_factor: Array(half).fill(1),
  long_factor: Array(half).fill(factor),
});

describe("a manifest", () => {
  const kinds = new Map(manifest.tensors.map((tensor) => [kindOf(tensor.name), tensor]));
  test.each([...kinds])("whose %s has another shape or form", async (_, { name, form, shape }) => {
    const [rows, cols = 0] = shape;
    const others: (readonly [WeightForm, readonly number[]])[] =
      form === "vector"
        ? [["vector", [rows - 1]], ["vector", [rows + 1]], ["vector", [1]], ["f32", [rows, 1]], ["f32", [1, rows]]]
        : [
            [form, [rows - 1, cols]],
            [form, [rows + 16, cols]],
            [form, [16, cols]],
            [form, [rows, cols + 32]],
            [form, [rows, 32]],
            ["f32", [rows, cols - 1]],
            ["vector", [rows]],
            ["vector", [cols]],
          ]; // biome-ignore format: a table
    for (const [other, size] of others) {
      if (other === form && String(size) === String(shape)) continue;
      const pack = withTensor(name, other, size);
      await expectRefused(() => planModel({ pack }), new RegExp(name.replaceAll(".", "\\.")));
      await expectRefused(() => loadModel({ pack }, runtime), new RegExp(name));
    }
  });

  test("in which a tensor is missing", async () => {
    const names = [...kinds.values()].map(({ name }) => name);
    for (const name of names) {
      const pack = withTensor(name, "vector", [1]);
      const changed: Manifest = JSON.parse(
        new TextDecoder().decode(pack.objects.get(MANIFEST_NAME)),
      );
      const tensors = changed.tensors.map((tensor) =>
        tensor.name === name ? { ...tensor, name: "another" } : tensor,
      );
      const renamed = packWith({ ...changed, tensors });
      await expectRefused(() => loadModel({ pack: renamed }, runtime), new RegExp(name));
    }
  });
});

/** Layers are alike. */
function kindOf(name: string): string {
  return name.replace(/\d+/, "N");
}

describe("a runner", () => {
  const options = { ctx: 64, slots: 1, maxRows: 8, maxLogits: 8, kv: "f32" } as const;
  const { config, entries } = smallLlama("f32");
  const { tensors, weightBytes: bytes } = planImage(entries);
  const plan = planLlama(config);
  const narrow = tensors.map((tensor) =>
    tensor.name === "model.layers.1.mlp.down_proj.weight" ? { ...tensor, shape: [64, 64] } : tensor,
  );
  const untouchable = new Proxy({} as Gpu, {
    get: (_, name) => expect.fail(`the GPU's ${String(name)} was looked at`),
  });

  test("of each backend refuses tensors that the plan has not", async () => {
    const named = /down_proj/;
    await expectRefused(() => createReferenceRunner(plan, narrow, bytes, options), named);
    const kernel = kernelOf("simd");
    await expectRefused(() => createWasmRunner(plan, narrow, bytes, kernel, options), named);
    await expectRefused(() => createWebgpuRunner(plan, narrow, bytes, untouchable, options), named);
  });

  test("refuses a context of parts of tiles, and sizes that no memory has", async () => {
    const kernel = kernelOf("simd");
    for (const wrong of [
      { ctx: 12 },
      { ctx: 0 },
      { ctx: 2 ** 31 },
      { slots: 2 ** 24 },
      { slots: 2 ** 31, ctx: 8 },
      { maxRows: 2 ** 31 },
      ...["ctx", "slots", "maxRows", "maxLogits"].flatMap((name) =>
        [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53].map((size) => ({
          [name]: size,
        })),
      ),
    ]) {
      const sizes = { ...options, ...wrong };
      await expectRefused(() => createWasmRunner(plan, tensors, bytes, kernel, sizes));
    }
  });
});

describe("a stage", () => {
  const sizes = { ctx: 64, slots: 1, maxRows: 8, maxLogits: 8, kv: "int16" } as const;
  const spec = { embedding: [0, 112], layers: [0, 2], head: [0, 112], ...sizes };

  test("whose configuration has sizes that are none", async () => {
    for (const field of ["ctx", "slots", "maxRows", "maxLogits", "kv"]) {
      for (const value of [0, -1, 1.5, 2 ** 31, "8", null]) {
        await expectRefused(() => parseStageSpec({ ...spec, [field]: value }), new RegExp(field));
      }
    }
    for (const field of ["embedding", "layers", "head"]) {
      for (const value of [[0], [0, 1, 2], [-1, 1], [0, 2 ** 31], [0, 1.5], 3, null]) {
        await expectRefused(() => parseStageSpec({ ...spec, [field]: value }), new RegExp(field));
      }
    }
  });

  test("whose configuration asks for more than any memory has", async () => {
    const { entries, config } = smallLlama("f32");
    const model = { plan: planLlama(config), tensors: planImage(entries).tensors };
    const kernel = kernelOf("simd");
    for (const wrong of [
      { slots: 2 ** 24 },
      { ctx: 2 ** 24, slots: 64 },
      { maxRows: 2 ** 24 },
      { ctx: 12 },
    ]) {
      const { part, sizes: asked } = parseStageSpec({
        ...spec,
        embedding: [0, 100],
        head: [0, 100],
        ...wrong,
      });
      await expectRefused(() => new WasmStage(model, part, asked, kernel));
    }
  });

  test("whose part the model has not, or whose rows are no whole panels", async () => {
    const kernel = kernelOf("simd");
    const { entries, config } = smallLlama("f32");
    const model = { plan: planLlama(config), tensors: planImage(entries).tensors };
    const whole = { embedding: [0, 100], layers: [0, 2], head: [0, 100], ...sizes };
    for (const wrong of [
      { layers: [0, 3] },
      { layers: [2, 1] },
      { embedding: [8, 100] },
      { head: [0, 101] },
    ]) {
      const { part } = parseStageSpec({ ...whole, ...wrong });
      await expectRefused(() => new WasmStage(model, part, sizes, kernel));
    }
    const odd = smallLlama("f32", { hidden_size: 40, num_attention_heads: 4, head_dim: 10 });
    const oddModel = { plan: planLlama(odd.config), tensors: planImage(odd.entries).tensors };
    await expectRefused(() => {
      const { stages } = planStages(oddModel, sizes, { stageBytes: 2 ** 30, count: 2 });
      return new WasmStage(oddModel, stages[0].part, sizes, kernel);
    }, /hidden_size/);
  });

  test("whose tensors are not those that its plan reads", async () => {
    const { entries, config } = smallLlama("f32");
    const tensors = planImage(entries).tensors.map((tensor) =>
      tensor.name.endsWith("1.mlp.down_proj.weight") ? { ...tensor, shape: [64, 64] } : tensor,
    );
    const { part } = parseStageSpec({ ...spec, embedding: [0, 100], head: [0, 100] });
    const model = { plan: planLlama(config), tensors };
    await expectRefused(() => new WasmStage(model, part, sizes, kernelOf("simd")), /down_proj/);
  });
});

test("the whole pack is taken: what is refused is refused for what was changed", async () => {
  const { runner } = await loadModel({ pack: packWith({}) }, runtime);
  expect(memories).toBe(1);
  expect((await openPack(whole)).tensors.length).toBe(manifest.tensors.length);
  runner.dispose();
});
