/** Synthetic models and what a run of them is turned into. */
import { expect, test } from "vitest";
import { BENCH_CTX } from "../../../src/cli/bench-workload.ts";
import { dequantize } from "../../../src/formats/gguf/dequantize.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import { script } from "./script.ts";

const { READER_SPAN_BYTES, readerModule } = await script("scaling-reader");
const { fitLine, scalingTables, summarized } = await script("scaling-report");
const { workOf } = await script("scaling-work");
const { planSynthetic } = await script("synthetic-pack");
const { syntheticTokenizer } = await script("synthetic-tokenizer");
const { syntheticTensor } = await script("synthetic-weights");

test.each([
  // Of the models' safetensors files, and of stories15M's header.
  ["15m", 15_191_712],
  ["135m", 134_515_008],
  ["360m", 361_821_120],
  ["1b", 1_235_814_400],
  ["3b", 3_212_749_824],
])("the shape %s has its model's %i parameters", (name, parameters) => {
  expect(planSynthetic(name)).toMatchObject({ parameters });
});

test("the weights of 3b end above 2 GiB, in the forms of a Q4_1 file", () => {
  const { working_set, layer_form } = workOf(planSynthetic("3b"));
  expect(working_set).toBeGreaterThan(2 ** 31);
  expect(layer_form).toBe("q4m");
});

test("a token's work is counted as by hand", () => {
  const plan = planSynthetic("15m");
  const { decode_bytes, prefill_operations, prefill_tokens, decode_steps } = workOf(plan);
  expect([prefill_tokens, decode_steps]).toEqual([512, 128]);
  expect(prefill_tokens).toBeLessThan(BENCH_CTX);
  // 6 layers of 4 x 288 x 288 + 3 x 288 x 768, attention over 256.5 positions, 1/512 of the head.
  const layers = 2 * 6 * (4 * 288 * 288 + 3 * 288 * 768);
  expect(prefill_operations).toBe(layers + 4 * 6 * 288 * 256.5 + (2 * 32_000 * 288) / 512);
  // Panels: 32 bytes and 320 or 544 a block of 32 columns.
  const panels = (rows: number, cols: number, block: number): number =>
    (rows / 16) * (32 + (cols / 32) * block);
  const layer = 4 * panels(288, 288, 320) + 2 * panels(768, 288, 320) + panels(288, 768, 320);
  const norms = 13 * 288 * 4;
  const cache = 2 * 36 * (48 * 2 + 4) * (13 + 64);
  expect(decode_bytes).toBe(panels(32_000, 288, 544) + 6 * layer + norms + cache);
});

test.each(["embedding", "matrix"])("weights of an %s are the same in any part", async (role) => {
  const tensor = syntheticTensor("blk.0.some.weight", [64, 96], role);
  const whole = new Uint8Array(tensor.bytes);
  await tensor.source.readInto(whole, 0);
  const row = tensor.bytes / 64;
  const part = new Uint8Array(3 * row);
  await tensor.source.readInto(part, 10 * row);
  expect(part).toEqual(whole.slice(10 * row, 13 * row));

  const other = syntheticTensor("blk.1.some.weight", [64, 96], role);
  const bytes = new Uint8Array(other.bytes);
  await other.source.readInto(bytes, 0);
  expect(bytes).not.toEqual(whole);
});

test.each(["embedding", "matrix"])("products by an %s keep the size of a vector", async (role) => {
  const [rows, cols] = [256, 1024];
  const tensor = syntheticTensor("w", [rows, cols], role);
  const bytes = new Uint8Array(tensor.bytes);
  await tensor.source.readInto(bytes, 0);
  const values = new Float32Array(rows * cols);
  dequantize(tensor.type, bytes, values);
  const mean = values.reduce((n, x) => n + x, 0) / values.length;
  const variance = values.reduce((n, x) => n + x * x, 0) / values.length;
  expect(Math.abs(mean)).toBeLessThan(0.05 / Math.sqrt(cols));
  expect(Math.sqrt(variance * cols)).toBeCloseTo(1, 1);
});

test("the tokenizer has every id, and text comes back from its ids", () => {
  const { metadata, bos, eos } = syntheticTokenizer(3000, "llama-bpe");
  const tokenizer = loadTokenizer(compileTokenizer(metadata));
  expect([tokenizer.vocabSize, tokenizer.bosId, tokenizer.eosId]).toEqual([3000, bos, eos]);
  const text = "How many days are in a week? Ça, 7.";
  const ids = tokenizer.encode(text);
  expect(tokenizer.decode(ids)).toContain(text);
  expect(Math.max(...ids.slice(1))).toBeGreaterThan(255);
});

test("the reader reads every byte of its span once", () => {
  const memory = new WebAssembly.Memory({ initial: (3 * READER_SPAN_BYTES) / 65_536 });
  const words = new Uint32Array(memory.buffer);
  const { exports } = new WebAssembly.Instance(readerModule(), { env: { memory } });
  const read = exports.read as (at: number) => number;
  // Lane 0 of each vector is what comes back; every other word has no part in it.
  for (let i = 0; i < words.length; i += 4) words[i] = i % 13;
  let expected = 0;
  for (let i = 0; i < READER_SPAN_BYTES / 4; i += 4) expected += (READER_SPAN_BYTES / 4 + i) % 13;
  expect(read(READER_SPAN_BYTES)).toBe(expected);
});

test("a line is fitted by relative errors", () => {
  const exact = fitLine([
    [0.015, 0.1 + 40 * 0.015],
    [0.36, 0.1 + 40 * 0.36],
    [3, 0.1 + 40 * 3],
  ]);
  expect(exact.a).toBeCloseTo(0.1, 6);
  expect(exact.b).toBeCloseTo(40, 6);
  expect(exact.error).toBeCloseTo(0, 6);
  // The small one counts as much as the large ones.
  const bent = fitLine([
    [0.01, 1],
    [1, 10],
    [3, 40],
  ]);
  expect(bent.a).toBeGreaterThan(0);
  expect(bent.error).toBeLessThan(0.4);
  expect(fitLine([[1, 1]])).toBeUndefined();
});

test("shares are medians by the best limits of all rounds", () => {
  const round = (decode: number, read_gbps: number, kernel = "dot") => ({
    kernel,
    memory: { total: 3e6 },
    load_ms: 100,
    prefill_tps: [40, 50, 60],
    decode_tps: [decode],
    rss_bytes: 7e7,
    limits: { read_gbps, gemv_gbps: 30, gemm_gops: 100 },
  });
  const document = {
    machine: { cpu: "a CPU", cores: 2, memory_gb: 25, system: "Linux" },
    core: 1,
    date: "2026-01-01",
    runtime: "Node 24",
    rounds: 3,
    shapes: [
      {
        name: "x",
        like: "a model",
        parameters: 1e9,
        layer_form: "q4m",
        prefill_tokens: 512,
        decode_steps: 128,
        decode_bytes: 1e9,
        prefill_operations: 1e9,
        rounds: [round(8, 10), round(10, 20), round(12, 15, "simd")],
      },
    ],
  };
  const [shape] = summarized(document).shapes;
  expect(shape.decode_share).toBeCloseTo(10 / 20);
  expect(shape.prefill_share).toBeCloseTo(50 / 100);
  const text = scalingTables(document);
  expect(text).toContain("dot and simd kernels");
  expect(text).toContain("10.0 (8.0 to 12.0)");
  expect(text).toMatch(/\| +1000\.0 \| +20\.0 \| +50 % \| +30\.0 \|/);
  expect(text).toMatch(/\| decode +\| +100\.0 \|/);
});
