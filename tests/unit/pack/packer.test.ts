import { describe, expect, test } from "vitest";
import { dequantize } from "../../../src/formats/gguf/dequantize.ts";
import type { MatrixForm } from "../../../src/pack/forms.ts";
import { type PackEntry, planImage } from "../../../src/pack/image-plan.ts";
import { packRows } from "../../../src/pack/pack-rows.ts";
import { type PackProgress, packTensors } from "../../../src/pack/packer.ts";
import { searchingQuantizer } from "../../../src/pack/panels/search-row.ts";
import { reversed, sampleEntries } from "./sample-pack.ts";
import { bf16Tensor, f32Tensor, randomBlocks, randomWeights, tensorOf } from "./sample-tensors.ts";

async function pack(entries: readonly PackEntry[], pieceBytes?: number): Promise<Uint8Array> {
  const image = new Uint8Array(planImage(entries).weightBytes);
  await packTensors(entries, (offset, bytes) => image.set(bytes, offset), { pieceBytes });
  return image;
}

const matrix = (
  form: MatrixForm,
  rows: number,
  cols: number,
  more: Partial<PackEntry> = {},
): PackEntry => ({
  name: "m",
  tensor: f32Tensor("m", [rows, cols], randomWeights(rows * cols, rows)),
  form,
  ...more,
});

test("tensors lie in the order given, each at the next multiple of 32", () => {
  const { tensors, weightBytes } = planImage(sampleEntries());
  let end = 0;
  for (const { offset, bytes } of tensors) {
    expect(offset).toBe(end);
    end = Math.ceil((offset + bytes) / 32) * 32;
  }
  expect(weightBytes).toBe(end);
  expect(tensors[1]).toEqual({
    name: "model.layers.0.input_layernorm.weight",
    form: "vector",
    shape: [65],
    offset: 5 * (32 + 2 * 448),
    bytes: 260,
  });
});

test("an image is its tensors packed one by one, with zeros between them", async () => {
  const entries = sampleEntries();
  const image = await pack(entries);
  for (const [i, { offset, bytes }] of planImage(entries).tensors.entries()) {
    const { tensor, form, rowOrder } = entries[i];
    const [rows, cols = 1] = tensor.shape;
    const raw = new Uint8Array(tensor.bytes);
    await tensor.source.readInto(raw, tensor.start);
    const values = new Float32Array(rows * cols);
    dequantize(tensor.type, raw, values);
    const ordered = values.map((_, at) => {
      const row = Math.floor(at / cols);
      return values[(rowOrder ? rowOrder[row] : row) * cols + (at % cols)];
    });
    const part = image.subarray(offset, offset + bytes);
    if (form === "vector") expect(part).toEqual(new Uint8Array(ordered.buffer));
    // The direct paths have their own test: src/pack/panels.
    else if (tensor.type === "F32" || tensor.type === "BF16" || form === "q6m") {
      const quantizer = form === "q4m" ? searchingQuantizer(form, cols) : undefined;
      expect(part).toEqual(packRows(form, ordered, rows, cols, quantizer));
    }
    const gap = image.subarray(offset + bytes, planImage(entries).tensors[i + 1]?.offset);
    expect(gap.every((byte) => byte === 0)).toBe(true);
  }
});

test("the size of pieces does not change a byte", async () => {
  const entries = sampleEntries();
  const whole = await pack(entries);
  for (const pieceBytes of [1, 33, 320, 1000, 4096, 65536]) {
    expect(await pack(entries, pieceBytes), `pieces of ${pieceBytes}`).toEqual(whole);
  }
});

test("rows come in the order asked, from anywhere in the source", async () => {
  const rows = 100;
  const spread = Int32Array.from({ length: rows }, (_, i) => (i * 37) % rows);
  const { tensor } = matrix("q8", rows, 32);
  const values = randomWeights(rows * 32, rows);
  const ordered = values.map((_, i) => values[spread[Math.floor(i / 32)] * 32 + (i % 32)]);
  for (const pieceBytes of [64, 2000, undefined]) {
    const image = await pack([{ name: "m", tensor, form: "q8", rowOrder: spread }], pieceBytes);
    expect(image).toEqual(packRows("q8", ordered, rows, 32));
  }
});

test("reordered rows of quantized blocks are the blocks of those rows", async () => {
  const rowBytes = 2 * 20;
  const bytes = randomBlocks("Q4_1", 48 * 64, 9, [0x2c11, 0x9007]);
  const order = reversed(48);
  const moved = new Uint8Array(bytes.length);
  order.forEach((from, to) => {
    moved.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), to * rowBytes);
  });
  const entry = (rows: Uint8Array): PackEntry => ({
    name: "q",
    tensor: tensorOf("q", "Q4_1", [48, 64], rows),
    form: "q4m",
  });
  expect(await pack([{ ...entry(bytes), rowOrder: order }], 700)).toEqual(
    await pack([entry(moved)]),
  );
});

test("the sink gets the image from its first byte to its last, in pieces", async () => {
  const entries = sampleEntries();
  let end = 0;
  let largest = 0;
  const seen: PackProgress[] = [];
  await packTensors(
    entries,
    async (offset, bytes) => {
      expect(offset).toBe(end);
      end += bytes.length;
      largest = Math.max(largest, bytes.length);
      await Promise.resolve();
    },
    { pieceBytes: 4096, onProgress: (progress) => seen.push(progress) },
  );
  const total = planImage(entries).weightBytes;
  expect(end).toBe(total);
  expect(largest).toBeLessThanOrEqual(4096);
  expect(seen.at(-1)).toEqual({ packed: total, total });
  expect(seen.map((p) => p.packed)).toEqual([...seen.map((p) => p.packed)].sort((a, b) => a - b));
});

test("the source is read in pieces, each byte once where rows keep their order", async () => {
  const { tensor } = matrix("q8", 160, 64);
  const reads: [number, number][] = [];
  const source = {
    ...tensor.source,
    async readInto(destination: Uint8Array, start: number): Promise<void> {
      reads.push([start, start + destination.length]);
      await tensor.source.readInto(destination, start);
    },
  };
  await pack([{ name: "m", tensor: { ...tensor, source }, form: "q8" }], 16 * 64 * 4 * 3);
  expect(reads.length).toBe(4);
  expect(reads.map(([start]) => start).slice(1)).toEqual(reads.map(([, end]) => end).slice(0, -1));
  expect(reads[0][0]).toBe(tensor.start);
  expect(reads[3][1]).toBe(tensor.start + tensor.bytes);

  reads.length = 0;
  await pack([{ name: "m", tensor: { ...tensor, source }, form: "q8" }], 16 * 64 * 4 + 100);
  expect(reads.length).toBe(10);
});

test("rows that lie far apart are read one by one, not with all between them", async () => {
  const { tensor } = matrix("q8", 320, 32);
  let largest = 0;
  const source = {
    ...tensor.source,
    async readInto(destination: Uint8Array, start: number): Promise<void> {
      largest = Math.max(largest, destination.length);
      await tensor.source.readInto(destination, start);
    },
  };
  const apart = Int32Array.from({ length: 320 }, (_, i) => (i % 16) * 20 + Math.floor(i / 16));
  await pack([{ name: "m", tensor: { ...tensor, source }, form: "q8", rowOrder: apart }], 4096);
  expect(largest).toBe(32 * 4);
});

test("an aborted signal stops between pieces", async () => {
  const abort = new AbortController();
  const sink = (): void => abort.abort();
  const packing = packTensors(sampleEntries(), sink, { signal: abort.signal, pieceBytes: 100 });
  await expect(packing).rejects.toMatchObject({ code: "aborted" });
  await expect(
    packTensors(sampleEntries(), () => expect.unreachable(), { signal: abort.signal }),
  ).rejects.toMatchObject({ code: "aborted" });
});

test("an error of the sink ends packing", async () => {
  const error = new Error("disk full");
  const sink = (): Promise<void> => Promise.reject(error);
  await expect(packTensors(sampleEntries(), sink)).rejects.toBe(error);
});

describe("names tensor and place of a value that is not finite", () => {
  const withValue = (value: number, at: number, length: number): Float32Array => {
    const values = new Float32Array(length);
    values[at] = value;
    return values;
  };
  const nan = Number.NaN;
  const inf = Number.POSITIVE_INFINITY;
  test.each<[string, Partial<PackEntry>, RegExp]>([
    [
      "a vector",
      { form: "vector", tensor: f32Tensor("v", [9], withValue(nan, 5, 9)) },
      /tensor v: element 5/,
    ],
    [
      "a bf16 vector",
      { form: "vector", tensor: bf16Tensor("v", [9], withValue(inf, 8, 9)) },
      /tensor v: element 8/,
    ],
    [
      "a vector whose rows are reordered",
      { form: "vector", tensor: f32Tensor("v", [9], withValue(nan, 5, 9)), rowOrder: reversed(9) },
      /tensor v: element 5/,
    ],
    [
      "f32",
      { form: "f32", tensor: f32Tensor("w", [20, 3], withValue(-inf, 59, 60)) },
      /tensor w: row 19/,
    ],
    [
      "bf16",
      { form: "bf16", tensor: bf16Tensor("w", [20, 3], withValue(nan, 0, 60)) },
      /tensor w: row 0/,
    ],
    [
      "q8",
      { form: "q8", tensor: f32Tensor("w", [20, 32], withValue(nan, 32, 640)) },
      /tensor w: row 1/,
    ],
    [
      "a matrix whose rows are reordered",
      {
        form: "q4m",
        tensor: f32Tensor("w", [20, 32], withValue(inf, 32, 640)),
        rowOrder: reversed(20),
      },
      /tensor w: row 1/,
    ],
  ])("in %s", async (_, entry, message) => {
    const packing = pack([{ name: "n", ...entry } as PackEntry]);
    await expect(packing).rejects.toMatchObject({
      code: "bad_format",
      message: expect.stringMatching(message),
    });
  });
});

describe("refuses, before it reads anything,", () => {
  const vector = (shape: number[], length: number): PackEntry => ({
    name: "v",
    tensor: f32Tensor("v", shape, new Float32Array(length)),
    form: "vector",
  });
  const q4Zero = tensorOf("m", "Q4_0", [1, 32], new Uint8Array(18));
  test.each<[string, PackEntry, string, RegExp]>([
    [
      "a matrix as vector",
      vector([2, 2], 4),
      "bad_format",
      /shape \[2,2\] is not that of a vector/,
    ],
    [
      "a vector as matrix",
      { ...vector([4], 4), form: "f32" },
      "bad_format",
      /not that of a matrix/,
    ],
    [
      "three dimensions",
      { ...vector([1, 2, 2], 4), form: "f32" },
      "bad_format",
      /not that of a matrix/,
    ],
    ["an empty vector", vector([0], 0), "bad_format", /shape \[0\]/],
    [
      "half a block of columns",
      matrix("q8", 2, 48),
      "bad_format",
      /48 columns are not whole blocks/,
    ],
    [
      "half a block of the source",
      { name: "m", tensor: { ...q4Zero, shape: [1, 16] }, form: "f32" },
      "bad_format",
      /16 columns are not whole blocks of Q4_0/,
    ],
    [
      "bytes that do not fit the shape",
      { name: "m", tensor: { ...q4Zero, bytes: 17 }, form: "q4" },
      "bad_format",
      /17 bytes, but \[1,32\] Q4_0 has 18/,
    ],
    ["too many columns", vector([2 ** 18 + 1], 1), "unsupported", /at most/],
    [
      "too many rows",
      { name: "m", tensor: { ...q4Zero, shape: [2 ** 24 + 1, 32] }, form: "q4" },
      "unsupported",
      /at most/,
    ],
    [
      "a row order of another length",
      matrix("q8", 4, 32, { rowOrder: reversed(3) }),
      "bad_format",
      /row order/,
    ],
    [
      "a row order that leaves the tensor",
      matrix("q8", 2, 32, { rowOrder: Int32Array.of(0, 2) }),
      "bad_format",
      /row order/,
    ],
    [
      "a negative row",
      matrix("q8", 2, 32, { rowOrder: Int32Array.of(0, -1) }),
      "bad_format",
      /row order/,
    ],
  ])("%s", async (_, entry, code, message) => {
    expect(() => planImage([entry])).toThrow(message);
    await expect(packTensors([entry], () => expect.unreachable())).rejects.toMatchObject({ code });
  });
});
