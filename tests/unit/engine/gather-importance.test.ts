import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createReferenceRunner } from "../../../src/backends/reference/reference-runner.ts";
import { gatherImportance } from "../../../src/engine/gather-importance.ts";
import { planModel } from "../../../src/engine/load-model.ts";
import type { ModelInput } from "../../../src/engine/opened-model.ts";
import { packModel } from "../../../src/engine/pack-model.ts";
import type { Runtime } from "../../../src/engine/runtime.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { readGolden } from "../../support/tiny-gguf.ts";
import { memoryFolder } from "../pack/memory-folder.ts";

const runtime: Runtime = {
  kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
  yieldTask: () => new Promise((resolve) => setTimeout(resolve)),
  now: () => performance.now(),
  wallClock: () => 1_700_000_000_500,
  randomSeed: () => 1,
};

type Gguf = Extract<ModelInput, { gguf: unknown }>;

/** F32 weights and a byte-level tokenizer. */
const path = "tests/goldens/tokenizers/tok_bpe.gguf";
const model: Gguf = { gguf: [memorySource(new Uint8Array(readFileSync(path)), path)] };

const TEXT = Array.from({ length: 120 }, (_, i) => `line ${i * i}, of ${i % 7} words; `).join("");

test("importance is the mean square of each product's input columns, as the reference has them", async () => {
  const progress: [number, number][] = [];
  const found = await gatherImportance(model, TEXT, runtime, {
    onProgress: (done, total) => progress.push([done, total]),
  });

  const planned = await planModel(model, { quantization: "none", slots: 1 });
  const tokenizer = await planned.model.loadTokenizer();
  const ids = tokenizer!.encode(TEXT);
  expect(progress.at(-1)).toEqual([ids.length, ids.length]);

  const window = Math.min(512, planned.config.max_position_embeddings);
  const sums = new Map<string, Float64Array>();
  const runner = createReferenceRunner(
    planned.plan,
    planned.model.tensors,
    planned.model.weightBytes,
    {
      ctx: window,
      slots: 1,
      maxRows: window,
      maxLogits: window,
      kv: "f32",
      observe: ({ step, input, rows, stride }) => {
        for (const { weight } of step.parts) {
          const sum = sums.get(weight) ?? new Float64Array(step.cols);
          for (let r = 0; r < rows; r++) {
            for (let c = 0; c < step.cols; c++) sum[c] += input[r * stride + c] ** 2;
          }
          sums.set(weight, sum);
        }
      },
    },
  );
  await planned.model.loadWeights(runner.weights);
  for (let at = 0; at < ids.length; at += window) {
    const part = ids.slice(at, at + window);
    await runner.forward({
      ids: part,
      spans: [{ slot: 0, start: 0, count: part.length }],
      logitsRows: part.map((_, row) => row),
    });
  }

  const matrices = planned.model.tensors.filter(({ name, shape }) => {
    const isTied = planned.config.tie_word_embeddings || !name.includes("embed_tokens");
    return shape.length === 2 && isTied;
  });
  expect([...found.keys()].sort()).toEqual(matrices.map(({ name }) => name).sort());
  for (const [name, columns] of found) {
    const expected = sums.get(name)!;
    expect(columns.length).toBe(expected.length);
    columns.forEach((mean, c) => {
      const wanted = expected[c] / ids.length;
      expect(Math.abs(mean - wanted), `${name} ${c}`).toBeLessThanOrEqual(1e-4 * wanted + 1e-9);
    });
  }
});

test("a pack made with importance differs in the matrices that are quantized anew, no others", async () => {
  const images: Uint8Array[] = [];
  for (const importance of [undefined, () => gatherImportance(model, TEXT, runtime)]) {
    const folder = memoryFolder("pack");
    const manifest = await packModel(model, folder, { quantization: "q4", importance });
    const image = new Uint8Array(manifest.weight_bytes);
    let at = 0;
    for (const { sha256, bytes } of manifest.shards) {
      image.set(folder.objects.get(`${sha256}.bin`)!, at);
      at += bytes;
    }
    images.push(image);
    if (!importance) continue;
    for (const { name, form, offset, bytes } of manifest.tensors) {
      const [without, withIt] = images.map((all) =>
        Buffer.from(all).subarray(offset, offset + bytes),
      );
      const isSearched = form === "q4m" || form === "q6m";
      const isInput = name.includes("embed_tokens") && !isTied(manifest.config);
      expect(without.equals(withIt), `${name} ${form}`).toBe(!isSearched || isInput);
    }
  }
});

const isTied = (config: Readonly<Record<string, unknown>>): boolean =>
  config.tie_word_embeddings === true;

test("where no matrix would use it, nothing is gathered", async () => {
  let called = false;
  const importance = async (): Promise<ReadonlyMap<string, Float32Array>> => {
    called = true;
    return new Map();
  };
  const kept: Gguf = { gguf: [readGolden("Q4_1.gguf")] };
  await expect(packModel(kept, memoryFolder("pack"), { importance })).rejects.toThrow(
    "no matrix is quantized anew",
  );
  expect(called).toBe(false);
});

test.each([
  ["a short text", model, "a few words", "at least 256"],
  ["a model without a tokenizer", { gguf: [readGolden("Q4_1.gguf")] }, TEXT, "no tokenizer"],
])("%s is refused", async (_, input, text, message) => {
  await expect(gatherImportance(input, text, runtime)).rejects.toThrow(message);
});

test("gathering stops when it is aborted", async () => {
  const controller = new AbortController();
  const gathering = gatherImportance(model, TEXT, runtime, {
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await expect(gathering).rejects.toMatchObject({ code: "aborted" });
});
