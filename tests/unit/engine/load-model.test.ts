import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openLoraAdapter } from "../../../src/adapters/open-lora-adapter.ts";
import { MemoryPool } from "../../../src/backends/wasm/memory-pool.ts";
import { createEngine } from "../../../src/engine/create-engine.ts";
import { BUDGET_CHUNK, loadModel, planModel, planOpened } from "../../../src/engine/load-model.ts";
import type { LoadedModel } from "../../../src/engine/loaded-model.ts";
import type { ModelInput } from "../../../src/engine/opened-model.ts";
import { packModel } from "../../../src/engine/pack-model.ts";
import type { Runtime } from "../../../src/engine/runtime.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { randomLoraFolder } from "../../support/random-lora.ts";
import { withTrap } from "../../support/trapping-kernels.ts";
import { memoryFolder } from "../pack/memory-folder.ts";

const runtime: Runtime = {
  kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
  yieldTask: () => new Promise((resolve) => setTimeout(resolve)),
  now: () => performance.now(),
  wallClock: () => 1_700_000_000_500,
  randomSeed: () => 1,
};

function gguf(path: string): Extract<ModelInput, { gguf: unknown }> {
  const bytes = new Uint8Array(readFileSync(`tests/goldens/${path}`));
  return { gguf: [memorySource(bytes, path)] };
}

const BPE = "tokenizers/tok_bpe.gguf";

async function logitsOf({ runner }: LoadedModel, ids: number[]): Promise<number[]> {
  await runner.forward({
    ids,
    spans: [{ slot: 0, start: 0, count: ids.length }],
    logitsRows: [ids.length - 1],
  });
  return Array.from(runner.logits(0));
}

test("a model in stages has the fingerprint and the logits of one in one memory, and refuses what is not there", async () => {
  const folder = memoryFolder("pack");
  await packModel(gguf(BPE), folder, { shardBytes: 64 * 1024 });
  for (const input of [gguf(BPE), { pack: folder }]) {
    const one = await loadModel(input, runtime);
    const three = await loadModel(input, runtime, { stages: 3 });
    expect(three.info).toMatchObject({ stages: 3, fingerprint: one.info.fingerprint });
    expect(await logitsOf(three, [5, 1, 4])).toEqual(await logitsOf(one, [5, 1, 4]));
  }
  const short = { ...runtime, freeBytes: () => 1e5 };
  await expect(loadModel(gguf(BPE), short, { stages: 2 })).rejects.toThrow(
    /plan: \d+ bytes \(weights \d+, .*\) in 2 stages \(\d+ \+ \d+\) at ctx \d+ and 4 sequences; this machine has 100000 free/,
  );
  await expect(loadModel(gguf(BPE), runtime, { stages: 0 })).rejects.toThrow("stages 0");
  await expect(
    loadModel(gguf(BPE), runtime, { stages: 2, backend: "reference" }),
  ).rejects.toMatchObject({ code: "unsupported" });
});

test("a load after one that failed fills the same memory, and finds nothing in it", async () => {
  const memories = new MemoryPool();
  const folder = memoryFolder("pack");
  const manifest = await packModel(gguf(BPE), folder, { shardBytes: 64 * 1024 });
  const damaged = `${manifest.shards.at(-1)?.sha256}.bin`;
  const bytes = folder.objects.get(damaged) as Uint8Array;
  folder.objects.set(
    damaged,
    bytes.map((byte) => byte ^ 1),
  );
  const taken: WebAssembly.Memory[] = [];
  const take = memories.take.bind(memories);
  memories.take = (pages) => {
    taken.push(take(pages));
    return taken.at(-1) as WebAssembly.Memory;
  };
  await expect(loadModel({ pack: folder }, { ...runtime, memories })).rejects.toMatchObject({
    code: "corrupt",
  });
  folder.objects.set(damaged, bytes);
  const model = await loadModel({ pack: folder }, { ...runtime, memories });
  const fresh = await loadModel({ pack: folder }, runtime);
  expect(await logitsOf(model, [5, 1, 4])).toEqual(await logitsOf(fresh, [5, 1, 4]));
  // What runs is nobody else's.
  await loadModel({ pack: folder }, { ...runtime, memories });
  expect(taken).toHaveLength(3);
  expect(taken[1]).toBe(taken[0]);
  expect(taken[2]).not.toBe(taken[0]);
});

test("after a trap nothing runs, and the next load fills the same memory", async () => {
  const memories = new MemoryPool();
  const folder = memoryFolder("pack");
  await packModel(gguf(BPE), folder, { shardBytes: 64 * 1024 });
  const patched = withTrap(new Uint8Array(readFileSync("wasm/dist/plain.wasm")), 7);
  const kernels = { plain: new WebAssembly.Module(patched) };
  const load = (): Promise<LoadedModel> =>
    loadModel({ pack: folder }, { ...runtime, kernels, memories });
  const first = await load();
  const { runner } = first;
  expect(() =>
    runner.forward({ ids: [7], spans: [{ slot: 0, start: 0, count: 1 }], logitsRows: [] }),
  ).toThrow("kernel trapped");
  expect(() => runner.saveCache?.(0, 0, 1)).toThrow("kernel trapped");
  runner.dispose();
  const second = await load();
  expect(second.runner.weights?.buffer).toBe(first.runner.weights?.buffer);
  const fresh = await loadModel({ pack: folder }, runtime);
  expect(await logitsOf(second, [5, 1, 4])).toEqual(await logitsOf(fresh, [5, 1, 4]));
});

test("a pack and the GGUF file that it was made from give the same model", async () => {
  const folder = memoryFolder("pack");
  const manifest = await packModel(gguf(BPE), folder, {
    license: "MIT",
    sourceSha256: "0".repeat(64),
  });
  const packed = await loadModel({ pack: folder }, runtime);
  const direct = await loadModel(gguf(BPE), runtime);

  const ids = packed.tokenizer.encode("Hello, world");
  expect(direct.tokenizer.encode("Hello, world")).toEqual(ids);
  expect(await logitsOf(packed, ids)).toEqual(await logitsOf(direct, ids));
  const { loading: _, ...facts } = packed.info;
  expect(direct.info).toMatchObject(facts);
  expect(packed.info.created).toBe(1_700_000_000);
  expect(packed.template?.source).toBe(direct.template?.source);
  expect(manifest).toMatchObject({ license: "MIT", source: { name: "tok_bpe.gguf" } });
  expect(manifest.generation_config).toHaveProperty("eos_token_id", packed.tokenizer.eosId);
});

test("the fingerprint tells forms and cache types apart, and not what changes no byte", async () => {
  const prints = async (...options: Parameters<typeof loadModel>[2][]): Promise<Set<string>> => {
    const models = await Promise.all(options.map((o) => loadModel(gguf(BPE), runtime, o)));
    return new Set(models.map(({ info }) => info.fingerprint));
  };
  const same = await prints({}, { slots: 1 }, { ctx: 16 }, { chunk: 8 }, { id: "other-name" });
  expect(same.size).toBe(1);
  const different = await prints(
    {},
    { kv: "int8" },
    { quantization: "none" },
    { backend: "reference" },
    { quantization: "q4" },
  );
  expect(different.size).toBe(5);
});

test("a snapshot that another backend made of the model is read again, one of another model is refused", async () => {
  const engines = [];
  for (const options of [{ backend: "reference" }, { backend: "wasm" }] as const) {
    engines.push(createEngine(await loadModel(gguf(BPE), runtime, options), runtime));
  }
  const [oracle, kernels] = engines;
  const prompt_ids = Array.from({ length: 12 }, (_, i) => 5 + 7 * i);
  const saved = await oracle.saveSnapshot({ prompt_ids });
  const before = await kernels.generate({ prompt_ids: [...prompt_ids, 3], max_tokens: 6, seed: 1 });
  const fresh = createEngine(await loadModel(gguf(BPE), runtime), runtime);
  const { id, tokens } = await fresh.loadSnapshot(saved);
  expect(tokens).toBe(12);
  // What the kernels would have made of the text.
  expect((await kernels.loadSnapshot(await kernels.saveSnapshot({ prompt_ids }))).id).toBe(id);
  await fresh.generate({ prompt_ids: [9, 9, 9], max_tokens: 2 });
  const after = await fresh.generate({ prompt_ids: [...prompt_ids, 3], max_tokens: 6, seed: 1 });
  expect(after.ids).toEqual(before.ids);
  expect(after.timings.cached_n).toBe(12);
  const changed = await loadModel(gguf(BPE), runtime, { quantization: "q4" });
  await expect(createEngine(changed, runtime).loadSnapshot(saved)).rejects.toMatchObject({
    code: "bad_request",
  });
});

test("a model says which kernels run it, and why", async () => {
  const { info } = await loadModel(gguf(BPE), runtime);
  expect(info.kernel).toBe("simd");
  expect(info.kernelReason).toMatch(/^simd: runs everywhere; dot not possible/);
  const { info: asked } = await loadModel(gguf(BPE), runtime, { kernel: "simd" });
  expect(asked.kernelReason).toBe("simd: as asked for");
  const { info: reference } = await loadModel(gguf(BPE), runtime, { backend: "reference" });
  expect(reference.kernelReason).toBeUndefined();
});

test("a load says how long each part took, and the parts are all of it", async () => {
  let time = 0;
  // A clock that moves only when it is looked at: every phase takes at least a tick.
  const ticking = { ...runtime, now: () => ++time };
  const folder = memoryFolder("pack");
  await packModel(gguf(BPE), folder);
  const { info } = await loadModel({ pack: folder }, ticking, { kernel: "simd" });
  const { total_ms, ...phases } = info.loading!;
  expect(Object.values(phases).reduce((sum, ms) => sum + ms, 0)).toBe(total_ms);
  expect(total_ms).toBe(time - 1);
  expect(Math.min(...Object.values(phases))).toBeGreaterThan(0);
});

test("memory is planned to the byte before anything is loaded", async () => {
  const options = { ctx: 64, slots: 2 };
  const { memory } = await planModel(gguf(BPE), options);
  const { info } = await loadModel(gguf(BPE), runtime, options);
  expect(info.memory).toEqual(memory);
  expect(memory.total).toBe(memory.weights + memory.kv + memory.activations + memory.scratch);
});

test("the context shrinks to the budget, which the whole plan keeps", async () => {
  const full = await planModel(gguf(BPE), { slots: 1, chunk: BUDGET_CHUNK });
  const budgetBytes = full.memory.total - 10_000;
  const { runner, memory } = await planModel(gguf(BPE), { slots: 1, budgetBytes });
  expect(memory.total).toBeLessThanOrEqual(budgetBytes);
  expect(runner.ctx).toBeLessThan(full.runner.ctx);
  expect(runner.ctx).toBeGreaterThan(0);
});

describe("with adapters beside it", () => {
  const lora = async () => {
    const { config } = await planModel(gguf(BPE));
    const { hidden_size: hidden, num_hidden_layers: layers, num_key_value_heads } = config;
    const kvDim = (hidden / config.num_attention_heads) * num_key_value_heads;
    return openLoraAdapter(await randomLoraFolder("lora", { hidden, kvDim, layers }));
  };

  test("the context leaves them room in the budget, which then takes no more", async () => {
    const adapter = await lora();
    const full = await planModel(gguf(BPE), { slots: 1, chunk: BUDGET_CHUNK });
    const { adapterBytes } = await planModel(gguf(BPE), { slots: 1, roomFor: [adapter] });
    expect(adapterBytes).toBeGreaterThan(65_535);
    const budgetBytes = full.memory.total + adapterBytes - 10_000;
    const options = { slots: 1, budgetBytes, roomFor: [adapter] };
    const { runner, info } = await loadModel(gguf(BPE), runtime, options);
    expect(info.ctx).toBeLessThan(full.runner.ctx);
    expect(info.memory.total + adapterBytes).toBeLessThanOrEqual(budgetBytes);
    await runner.loadAdapter(adapter);
    expect(runner.adapterBytes).toBe(adapterBytes);
    await expect(runner.loadAdapter(adapter)).rejects.toMatchObject({ code: "out_of_memory" });
  });

  test("those that no budget has room for, or that are another model's, are refused before anything is loaded", async () => {
    const roomFor = [await lora()];
    await expect(planModel(gguf(BPE), { roomFor, budgetBytes: 80_000 })).rejects.toMatchObject({
      code: "out_of_memory",
    });
    const foreign = [await openLoraAdapter(await randomLoraFolder("other", { hidden: 32 }))];
    await expect(planModel(gguf(BPE), { roomFor: foreign })).rejects.toMatchObject({
      code: "bad_request",
      message: expect.stringContaining("other: model.layers.0.self_attn"),
    });
  });
});

test("no budget lets a plan over the 4 GiB of wasm32", async () => {
  const { model } = await planModel(gguf(BPE));
  const config = { ...model.config, max_position_embeddings: 2 ** 24 };
  const { memory } = planOpened({ ...model, config }, { slots: 8, budgetBytes: 64e9 });
  expect(memory.total).toBeLessThanOrEqual(2 ** 32);
  expect(memory.total).toBeGreaterThan(2 ** 32 - 2 ** 20);
});

describe("refuses", () => {
  test.each([
    ["a model without a tokenizer", "gguf/Q4_1.gguf", {}, "unsupported", "no tokenizer"],
    ["a budget that nothing fits", BPE, { budgetBytes: 1000 }, "out_of_memory", "budget is 1000"],
    ["no slot", BPE, { slots: 0 }, "bad_request", "slots 0"],
    ["half a row", BPE, { chunk: 1.5 }, "bad_request", "chunk 1.5"],
    ["a context over the model's", BPE, { ctx: 1e6 }, "bad_request", "ctx 1000000"],
    ["relaxed kernels that are not there", BPE, { kernel: "dot" as const }, "unsupported", "dot"],
  ])("%s", async (_, path, options, code, message) => {
    await expect(loadModel(gguf(path), runtime, options)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test("a load that was aborted before it began", async () => {
    const signal = AbortSignal.abort();
    await expect(loadModel(gguf(BPE), runtime, { signal })).rejects.toMatchObject({
      code: "aborted",
    });
  });
});

test("slices of tensor parallel training are the reference's alone; other backends say so once", async () => {
  const folder = memoryFolder("pack");
  await packModel(gguf(BPE), folder, { license: "MIT", sourceSha256: "0".repeat(64) });
  const manifest = JSON.parse(new TextDecoder().decode(folder.objects.get("manifest.json")));
  manifest.config.pretraining_tp = 2;
  delete manifest.checksum; // of the other configuration
  folder.objects.set("manifest.json", new TextEncoder().encode(JSON.stringify(manifest)));

  const sliced = await loadModel({ pack: folder }, runtime);
  expect(sliced.info.notes).toEqual([expect.stringMatching(/^pretraining_tp 2: /)]);
  const reference = await loadModel({ pack: folder }, runtime, { backend: "reference" });
  expect(reference.info.notes).toBeUndefined();
  expect((await loadModel(gguf(BPE), runtime)).info.notes).toBeUndefined();
});
