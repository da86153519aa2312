/** Rows of a tensor come out the same whatever lies how in the file, and in whatever pieces they are asked for. */
import { describe, expect, test } from "vitest";
import type { FloatTensor, FloatType } from "../../../src/formats/float-tensor.ts";
import { FLOAT_BYTES } from "../../../src/formats/float-tensor.ts";
import { packedString, packStrings } from "../../../src/formats/packed-strings.ts";
import { invertOrder, permuteRows } from "../../../src/formats/permuted-tensor.ts";
import { storedTensor } from "../../../src/formats/stored-tensor.ts";
import { type StridedPlace, stridedTensor } from "../../../src/formats/strided-tensor.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import type { ByteSource } from "../../../src/sources/source.ts";

const START = 12;

/** A file whose element n, from START on, is the number n in so many bytes. */
function numbered(elements: number, type: FloatType, reads: number[] = []): ByteSource {
  const size = FLOAT_BYTES[type];
  const bytes = new Uint8Array(START + elements * size);
  const view = new DataView(bytes.buffer);
  for (let n = 0; n < elements; n++) {
    if (size === 4) view.setUint32(START + n * 4, n, true);
    else view.setUint16(START + n * 2, n, true);
  }
  const source = memorySource(bytes, "w.bin");
  return {
    ...source,
    readInto(destination, start, signal) {
      reads.push(destination.length);
      return source.readInto(destination, start, signal);
    },
  };
}

/** The numbers of rows [first, first + count), read to an address that is aligned for nothing. */
async function rowsOf(tensor: FloatTensor, first: number, count: number, skew = 1) {
  const size = FLOAT_BYTES[tensor.type];
  const columns = tensor.shape.slice(1).reduce((product, dim) => product * dim, 1);
  const into = new Uint8Array(skew + count * columns * size).subarray(skew);
  await tensor.readRows(first, count, into);
  const copy = into.slice();
  return [...(size === 4 ? new Uint32Array(copy.buffer) : new Uint16Array(copy.buffer))];
}

type Layout = Pick<StridedPlace, "shape" | "strides">;
const layouts: [string, Layout][] = [
  ["that lie one behind the other", { shape: [5, 6], strides: [6, 1] }],
  ["that are a part of wider ones", { shape: [5, 6], strides: [9, 1] }],
  ["that are far apart", { shape: [5, 2], strides: [40, 1] }],
  ["of several dimensions", { shape: [4, 2, 3], strides: [11, 3, 1] }],
  ["of dimensions of one, whose strides say nothing", { shape: [4, 1, 3], strides: [7, 99, 1] }],
  ["of which there is but one", { shape: [1, 6], strides: [77, 1] }],
  ["of a vector", { shape: [7], strides: [1] }],
  ["of a vector with gaps", { shape: [7], strides: [3] }],
  ["of a transposed matrix", { shape: [5, 6], strides: [1, 5] }],
  ["of a part of a transposed matrix", { shape: [5, 6], strides: [1, 8] }],
  ["of a small part of a transposed matrix", { shape: [5, 20], strides: [1, 90] }],
];

describe.each(["F32", "F16"] as const)("rows of %s", (type) => {
  test.each(layouts)("%s are read in any pieces, to any address", async (_, { shape, strides }) => {
    const source = numbered(2000, type);
    const tensor = stridedTensor({ name: "w", type, shape, strides, source, start: START });
    const [rows = 1, ...inner] = shape;
    let places = [0];
    for (const [i, dim] of inner.entries()) {
      const stride = strides[i + 1] ?? 0;
      places = places.flatMap((at) => Array.from({ length: dim }, (_, n) => at + n * stride));
    }
    const pitch = strides[0] ?? 0;
    const expected = Array.from({ length: rows }, (_, r) => places.map((at) => at + r * pitch));
    for (let first = 0; first <= rows; first++) {
      for (let count = 0; first + count <= rows; count++) {
        const wanted = expected.slice(first, first + count).flat();
        expect(await rowsOf(tensor, first, count)).toEqual(wanted);
        expect(await rowsOf(tensor, first, count, 0)).toEqual(wanted);
      }
    }
  });
});

test("pieces near each other come in one read, pieces far apart without what is between them", async () => {
  const reads: number[] = [];
  const source = numbered(8000, "F32", reads);
  const at = (pitch: number): FloatTensor =>
    stridedTensor({
      name: "w",
      type: "F32",
      shape: [20, 2],
      strides: [pitch, 1],
      source,
      start: START,
    });
  await rowsOf(at(16), 0, 20);
  expect(reads).toEqual([(19 * 16 + 2) * 4]);
  reads.length = 0;
  await rowsOf(at(17), 0, 20);
  expect(reads).toEqual(new Array(20).fill(8));
});

test.each([
  ["rows that overlap", [4, 6], [5, 1]],
  ["columns that overlap", [4, 6], [1, 3]],
  ["gaps between the elements of a row", [4, 6], [12, 2]],
  ["three dimensions, transposed", [2, 3, 4], [1, 2, 6]],
])("a tensor with %s is refused by its name", (_, shape, strides) => {
  const source = numbered(100, "F32");
  const make = () => stridedTensor({ name: "w", type: "F32", shape, strides, source, start: 0 });
  expect(make).toThrow(
    expect.objectContaining({
      code: "unsupported",
      message: `w.bin: tensor w: [${shape}] with strides [${strides}]: neither rows nor transposed`,
    }),
  );
});

describe("rows in another order", () => {
  const source = numbered(300, "F32");
  const stored = storedTensor("w", "F32", [100, 3], source, START);
  const orders: [string, Int32Array][] = [
    ["of neighbours", Int32Array.from({ length: 100 }, (_, i) => i ^ 1)],
    ["of all places", Int32Array.from({ length: 100 }, (_, i) => (i * 37 + 5) % 100)],
  ];

  test.each(orders)("%s are those rows, in any pieces", async (_, order) => {
    const tensor = permuteRows(stored, order);
    const row = (n: number): number[] => [3 * n, 3 * n + 1, 3 * n + 2];
    for (const [first, count] of [
      [0, 100],
      [0, 1],
      [99, 1],
      [7, 2],
      [11, 13],
      [40, 0],
    ] as const) {
      const wanted = [...order.subarray(first, first + count)].flatMap(row);
      expect(await rowsOf(tensor, first, count)).toEqual(wanted);
    }
    const back = permuteRows(tensor, invertOrder(order));
    expect(await rowsOf(back, 0, 100)).toEqual(Array.from({ length: 300 }, (_, n) => n));
  });

  test("that lie far apart are read alone, near ones together", async () => {
    const reads: number[] = [];
    const counted = storedTensor("w", "F32", [100, 3], numbered(300, "F32", reads), START);
    const order = Int32Array.from({ length: 100 }, (_, i) => i);
    [order[1], order[99]] = [99, 1];
    await rowsOf(permuteRows(counted, order), 0, 2);
    expect(reads).toEqual([12, 12]);
    reads.length = 0;
    [order[1], order[15], order[99]] = [15, 1, 99];
    await rowsOf(permuteRows(counted, order), 0, 2);
    expect(reads).toEqual([16 * 12]);
  });
});

describe("rows that a tensor does not have", () => {
  const source = numbered(200, "F32");
  const tensors: [string, FloatTensor][] = [
    ["stored", storedTensor("w", "F32", [4, 5], source, START)],
    [
      "strided",
      stridedTensor({ name: "w", type: "F32", shape: [4, 5], strides: [7, 1], source, start: 0 }),
    ],
  ];
  tensors.push(["permuted", permuteRows(tensors[0]![1], Int32Array.of(2, 0, 3, 1))]);
  const asked: [string, number, number, number][] = [
    ["before the first", -1, 2, 40],
    ["behind the last", 3, 2, 40],
    ["into too few bytes", 0, 2, 39],
    ["into too many bytes", 0, 2, 41],
  ];
  test.each(
    tensors.flatMap(([kind, tensor]) => asked.map((one) => [kind, one[0], tensor, one] as const)),
  )(
    "%s: %s are refused by the tensor's name, and nothing is read",
    async (_, __, tensor, [, first, count, bytes]) => {
      const into = new Uint8Array(bytes).fill(7);
      await expect(tensor.readRows(first, count, into)).rejects.toMatchObject({
        code: "bad_request",
        message: expect.stringMatching(
          new RegExp(`tensor w: rows \\[${first}, ${first + count}\\).*into ${bytes} bytes`),
        ),
      });
      expect(into.every((byte) => byte === 7)).toBe(true);
    },
  );
});

test("more strings than were announced come back too", () => {
  const texts = Array.from({ length: 300 }, (_, i) => `${i}`.repeat(i % 40));
  const strings = packStrings(texts);
  expect(texts.map((_, i) => packedString(strings, i))).toEqual(texts);
  expect(strings.length).toBe(300);
});
