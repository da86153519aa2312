import { describe, expect, test } from "vitest";
import { readFlax } from "../../../../src/formats/msgpack/read-flax.ts";
import { memorySource } from "../../../../src/sources/memory.ts";
import type { ByteSource } from "../../../../src/sources/source.ts";
import { bytesOf, type Code, f32, repeat } from "../torch/torch-writer.ts";
import { chunked, map, name, ndarray } from "./flax-writer.ts";

const six = f32(1, 2, 3, 4, 5, 6);
const source = (code: Code): ByteSource => memorySource(bytesOf(code), "m.msgpack");

test("finds arrays by path, of each float type, in one piece", async () => {
  const file = source(
    map({
      a: map({ kernel: ndarray([2, 3], six) }),
      half: ndarray([3], new Uint8Array(6), { dtype: "float16" }),
      brain: ndarray([1, 3], new Uint8Array(6), { dtype: "bfloat16" }),
    }),
  );
  const arrays = await readFlax(file);
  expect([...arrays].map(([path, { type, shape }]) => [path, type, shape])).toEqual([
    ["a/kernel", "F32", [2, 3]],
    ["half", "F16", [3]],
    ["brain", "BF16", [1, 3]],
  ]);
  const bytes = new Uint8Array(24);
  const { source: from, start } = arrays.get("a/kernel")!;
  await from.readInto(bytes, start);
  expect(bytes).toEqual(six);
});

test("joins the chunks of a large array", async () => {
  const chunks = [f32(1, 2), f32(3, 4, 5), f32(6)].map((c) => ndarray([c.length / 4], c));
  const array = (
    await readFlax(source(map({ w: chunked([2, 3], chunks), z: ndarray([1], f32(9)) })))
  ).get("w")!;
  expect(array.shape).toEqual([2, 3]);
  for (const [start, length] of [
    [0, 24],
    [4, 8],
    [8, 12],
    [20, 4],
    [7, 10],
  ]) {
    const bytes = new Uint8Array(length);
    const progress: number[] = [];
    await array.source.readInto(bytes, start, undefined, (n) => progress.push(n));
    expect(bytes).toEqual(six.subarray(start, start + length));
    expect(progress.at(-1)).toBe(length);
  }
  await expect(array.source.readInto(new Uint8Array(5), 20)).rejects.toThrow("it has 24");
});

test("reads what lies between arrays only", async () => {
  let read = 0;
  const inner = source(map({ w: ndarray([250, 1000], new Uint8Array(1e6)), b: ndarray([6], six) }));
  const counted: ByteSource = {
    ...inner,
    readInto(destination, start, signal) {
      read += destination.length;
      return inner.readInto(destination, start, signal);
    },
  };
  expect((await readFlax(counted)).size).toBe(2);
  expect(read).toBeLessThan(10_000);
});

describe("refuses a file", () => {
  const deep = (depth: number): Code =>
    depth === 0 ? ndarray([6], six) : map({ a: deep(depth - 1) });
  test.each<[string, Code, string, string]>([
    ["that is no map", [0x93], "bad_format", "not a map"],
    ["that is empty", [], "bad_format", "the file ends at 0"],
    [
      "with a map of four billion names",
      [0xdf, 0xff, 0xff, 0xff, 0xff],
      "bad_format",
      "the file ends",
    ],
    ["with maps too deep", deep(17), "bad_format", "deeper than 16"],
    [
      "with a hundred thousand maps in each other",
      [repeat([0x81, 0xa1, "a"], 100_000)],
      "bad_format",
      "deeper than 16",
    ],
    [
      "with an array of integers",
      map({ w: ndarray([3], new Uint8Array(12), { dtype: "int32" }) }),
      "unsupported",
      "w: dtype int32",
    ],
    [
      "with a dtype of the prototype",
      map({ w: ndarray([3], new Uint8Array(12), { dtype: "toString" }) }),
      "unsupported",
      "dtype toString",
    ],
    ["with a scalar", map({ step: 7 }), "unsupported", "step: neither a map nor an array"],
    [
      "with a complex number",
      map({ w: ndarray([6], six, { kind: 2 }) }),
      "unsupported",
      "extension 2",
    ],
    [
      "with too few bytes for its shape",
      map({ w: ndarray([7], six) }),
      "bad_format",
      "[7] float32 has not 24 bytes",
    ],
    [
      "whose array says more bytes than it has",
      map({ w: ndarray([6], six, { length: 25 }) }),
      "bad_format",
      "w: 25 bytes up to",
    ],
    [
      "whose extension passes the file's end",
      map({ w: ndarray([6], six, { slack: 1 }) }),
      "bad_format",
      "cut off",
    ],
    [
      "whose extension has more than the array",
      map({ w: ndarray([5], six.subarray(4), { slack: 4 }), x: ndarray([6], six) }),
      "bad_format",
      "w: 20 bytes up to",
    ],
    [
      "with 9 dimensions",
      map({ w: ndarray(Array(9).fill(1), f32(1)) }),
      "bad_format",
      "9 dimensions",
    ],
    [
      "with a name twice",
      [0x82, name("w"), ndarray([6], six), name("w"), ndarray([6], six)],
      "bad_format",
      "w is there twice",
    ],
    ["with an empty name", map({ "": ndarray([6], six) }), "bad_format", "a name"],
    ["with a slash in a name", map({ "a/b": ndarray([6], six) }), "bad_format", "a name a/b"],
    ["with a name that is a number", [0x81, 7, 7], "bad_format", "not a short name"],
    [
      "with a negative size",
      map({ w: chunked([-1 & 0xff], [ndarray([6], six)]) }),
      "bad_format",
      "a size that is none",
    ],
    [
      "with chunks that are too few",
      map({ w: chunked([7], [ndarray([6], six)]) }),
      "bad_format",
      "has not 24 bytes",
    ],
    ["with no chunks", map({ w: chunked([0], []) }), "bad_format", "or none"],
    [
      "with chunks of two types",
      map({
        w: chunked([9], [ndarray([6], six), ndarray([3], new Uint8Array(6), { dtype: "float16" })]),
      }),
      "bad_format",
      "of several types",
    ],
    [
      "with a chunk out of order",
      map({ w: [0x83, name("__msgpack_chunked_array__"), 0xc3, name("shape"), map({ "1": 6 })] }),
      "bad_format",
      "part 1 instead of 0",
    ],
  ])("%s", async (_, code, errorCode, reason) => {
    await expect(readFlax(source(code))).rejects.toMatchObject({
      code: errorCode,
      message: expect.stringMatching(/^m\.msgpack: /),
    });
    await expect(readFlax(source(code))).rejects.toThrow(reason);
  });

  test("with more arrays than any model", async () => {
    const leaf = bytesOf(ndarray([0], new Uint8Array(0)));
    const entries = Array.from({ length: 65_537 }, (_, i) => [name(String(i)), leaf]);
    const file = source([0xdf, 0, 1, 0, 1, entries]);
    await expect(readFlax(file)).rejects.toThrow("more than 65536 arrays");
  });
});
