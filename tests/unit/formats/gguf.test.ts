import { describe, expect, test } from "vitest";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import type { PackedStrings } from "../../../src/formats/model-file.ts";
import { packedString } from "../../../src/formats/packed-strings.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import type { ByteSource } from "../../../src/sources/source.ts";
import { type Entry, type GgufParts, SMALL, type Tensor, writeGguf } from "./gguf-writer.ts";

const source = (bytes: Uint8Array, name = "m.gguf"): ByteSource => memorySource(bytes, name);
const read = (parts: GgufParts) => readGguf(source(writeGguf(parts).bytes));

/** Bytes whose reads are written down. */
function counting(bytes: Uint8Array, ranges: [number, number][]): ByteSource {
  const whole = source(bytes);
  return {
    ...whole,
    readInto(destination, start, signal) {
      ranges.push([start, start + destination.length]);
      return whole.readInto(destination, start, signal);
    },
  };
}

/** What reading came to: undefined, or the error's code and message. */
async function failure(bytes: Uint8Array): Promise<{ code?: string; message: string } | undefined> {
  return readGguf(source(bytes)).then(
    () => undefined,
    (error) => error,
  );
}

describe("metadata", () => {
  test("has every kind of value", async () => {
    const { metadata } = await read(SMALL);

    const plain = [...metadata].filter(([, value]) => typeof value !== "object");
    expect(Object.fromEntries(plain)).toEqual({
      "general.architecture": "llama",
      "general.name": "",
      "a.u8": 200,
      "a.i8": -100,
      "a.u16": 60_000,
      "a.i16": -30_000,
      "a.u32": 4_000_000_000,
      "a.i32": -2_000_000_000,
      "a.f32": Math.fround(0.1),
      "a.f64": 0.1,
      "a.bool": true,
      "a.u64": 2 ** 40,
      "a.u64.big": 2n ** 63n,
      "a.i64": -5,
      "a.i64.big": -(2n ** 62n) - 1n,
    });
    expect(metadata.get("scores")).toEqual(Float32Array.of(0, -1.5));
    expect(metadata.get("types")).toEqual(Int32Array.of(1, -3, 6));
    expect(metadata.get("flags")).toEqual(Uint8Array.of(1, 0));
    expect(metadata.get("big")).toEqual(BigUint64Array.of(2n ** 63n));
    expect(metadata.get("none")).toEqual(new Float64Array(0));
  });

  test("keeps arrays of strings packed, in exactly their bytes", async () => {
    const tokens = (await read(SMALL)).metadata.get("tokens") as PackedStrings;

    expect(tokens.length).toBe(4);
    expect(tokens.bytes.buffer.byteLength).toBe(1 + 0 + 4 + 6);
    expect([0, 1, 2, 3].map((i) => packedString(tokens, i))).toEqual(["a", "", "ĠΩ", "<0x0A>"]);
  });

  test("reads a header of many windows, whatever lies on their borders", async () => {
    const values = Array.from({ length: 60_000 }, (_, i) => "x".repeat(i % 23) + i);
    const { bytes } = writeGguf({
      entries: [
        { key: "tokens", kind: "array", of: "string", values },
        { key: "scores", kind: "array", of: "f32", values: values.map((_, i) => i) },
        { key: "long", kind: "string", value: "é".repeat(200_000) },
        { key: "last", kind: "u8", value: 7 },
      ],
    });
    const { metadata } = await readGguf(source(bytes));

    const tokens = metadata.get("tokens") as PackedStrings;
    expect(values.findIndex((value, i) => packedString(tokens, i) !== value)).toBe(-1);
    expect(metadata.get("scores")).toEqual(Float32Array.from(values.keys()));
    expect(metadata.get("long")).toBe("é".repeat(200_000));
    expect(metadata.get("last")).toBe(7);
  });

  test("replaces bytes of a value that are not UTF-8", async () => {
    const value = Uint8Array.of(0x61, 0xff, 0x62);
    const { metadata } = await read({ entries: [{ key: "author", kind: "string", value }] });
    expect(metadata.get("author")).toBe("a\ufffdb");
  });
});

describe("tensors", () => {
  test("have their type, row-major shape and place in the file", async () => {
    const { bytes, dataStart } = writeGguf(SMALL);
    const file = source(bytes);
    const { name, tensors } = await readGguf(file);

    expect(name).toBe("m.gguf");
    const at = (offset: number, bytes: number) => ({
      source: file,
      start: dataStart + offset,
      bytes,
    });
    expect([...tensors.values()]).toEqual([
      { name: "token_embd.weight", type: "Q8_0", shape: [3, 32], ...at(0, 102) },
      { name: "output_norm.weight", type: "F32", shape: [32], ...at(128, 128) },
      { name: "blk.0.attn_q.weight", type: "Q4_0", shape: [2, 4, 64], ...at(256, 288) },
      { name: "blk.0.attn_k.weight", type: "F16", shape: [1, 1, 2, 32], ...at(576, 128) },
    ]);
  });

  test.each([1, 8, 64, 4096])("start at multiples of general.alignment %i", async (alignment) => {
    const parts: GgufParts = {
      entries: [{ key: "general.alignment", kind: "u32", value: alignment }],
      tensors: [
        { name: "a", dims: [1], offset: 0 },
        { name: "b", dims: [1], offset: Math.max(4, alignment) },
      ],
      dataBytes: Math.max(4, alignment) + 4,
      alignment,
    };
    const { dataStart } = writeGguf(parts);
    const { tensors } = await read(parts);
    expect(tensors.get("a")?.start).toBe(dataStart);
    expect(tensors.get("b")?.start).toBe(dataStart + Math.max(4, alignment));
  });

  test("of version 2 are read alike", async () => {
    const { tensors } = await read({ ...SMALL, version: 2 });
    expect(tensors.size).toBe(4);
  });
});

test("reads a large header in growing ranges, each byte once", async () => {
  const { bytes } = writeGguf({
    entries: [
      { key: "numbers", kind: "array", of: "u8", values: Array(100_000).fill(5) },
      { key: "tokens", kind: "array", of: "string", values: Array(30_000).fill("x".repeat(40)) },
      { key: "last", kind: "string", value: "end" },
    ],
  });
  const ranges: [number, number][] = [];
  const { metadata } = await readGguf(counting(bytes, ranges));

  expect(metadata.get("numbers")).toEqual(new Uint8Array(100_000).fill(5));
  expect(metadata.get("last")).toBe("end");
  const lengths = ranges.map(([start, end]) => end - start);
  expect(ranges.map(([start]) => start)).toEqual([0, ...ranges.map(([, end]) => end)].slice(0, -1));
  // The rest of the array, without a window; then windows, less what was left of the one before.
  expect(lengths.slice(0, 2)).toEqual([65_536, 100_000 + 55 - 65_536]);
  expect(lengths.length).toBe(6);
});

test("reads one small range of a large file", async () => {
  const { bytes } = writeGguf({
    tensors: [{ name: "w", dims: [1_000_000], offset: 0 }],
    dataBytes: 4_000_000,
  });
  const ranges: [number, number][] = [];
  await readGguf(counting(bytes, ranges));
  expect(ranges).toEqual([[0, 65_536]]);
});

describe("a damaged file", () => {
  test("cut at any byte is refused with its name and the place", async () => {
    const { bytes } = writeGguf(SMALL);
    const wrong: unknown[] = [];
    for (let cut = 0; cut < bytes.length; cut++) {
      const error = await failure(bytes.slice(0, cut));
      const clear =
        /^m\.gguf: (header|key \S+|metadata entry \d+ of 21|tensor (\S+|entry \d of 4)): ./;
      const names = /: .*\d/.test(error?.message ?? "");
      if (error?.code !== "bad_format" || !clear.test(error.message) || !names) {
        wrong.push({ cut, code: error?.code, message: error?.message });
      }
    }
    expect(wrong).toEqual([]);
  });

  const lengths = [2n ** 63n, 2n ** 64n - 1n, 2n ** 53n, 2n ** 53n - 1n, 2n ** 32n, 2n ** 24n];
  test.each(writeGguf(SMALL).fields)("with any absurd $what is refused", async ({ what, at }) => {
    for (const length of lengths) {
      const { bytes } = writeGguf(SMALL);
      new DataView(bytes.buffer).setBigUint64(at, length, true);
      const error = await failure(bytes);
      expect(error).toMatchObject({ name: "PronkError", code: "bad_format" });
      const tensor = /(?:dimension \d|offset) of (.+)/.exec(what)?.[1];
      expect(error?.message).toContain(tensor ? `m.gguf: tensor ${tensor}: ` : "m.gguf: ");
    }
  });

  test("with any few bytes changed is read or refused, never worse", async () => {
    const { bytes, headerEnd } = writeGguf(SMALL);
    const codes = new Set<string | undefined>();
    let state = 1;
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let round = 0; round < 20_000; round++) {
      const damaged = bytes.slice();
      for (let i = random(3); i >= 0; i--) {
        const at = random(headerEnd);
        damaged[at] = random(2) ? random(256) : damaged[at]! ^ (1 << random(8));
      }
      const error = await failure(damaged);
      if (error && !(error.message.startsWith("m.gguf: ") && error.message.length < 400))
        throw error;
      codes.add(error?.code);
    }
    expect([...codes].sort()).toEqual(["bad_format", "unsupported", undefined]);
  });
});

describe("refuses a file", () => {
  const string = (key: string, value: string | Uint8Array): Entry => ({
    key,
    kind: "string",
    value,
  });
  const tensor = (change: Partial<Tensor>): GgufParts => ({
    tensors: [{ name: "w", dims: [32], offset: 0, ...change }],
    dataBytes: 128,
  });
  const many = (count: number): Entry[] =>
    Array.from({ length: count }, (_, i) => ({ key: `k${i}`, kind: "u8", value: 0 }));
  const alignment = (value: number, kind: "u32" | "f32" = "u32"): GgufParts => ({
    entries: [{ key: "general.alignment", kind, value }],
  });

  test.each<[string, GgufParts, string, string]>([
    ["of another kind", { magic: "GGML" }, "bad_format", "not a GGUF file, starts with 0x47474d4c"],
    ["of version 1", { version: 1 }, "unsupported", "GGUF version 1; versions 2 and 3 run"],
    ["of version 4", { version: 4 }, "unsupported", "GGUF version 4"],
    ["of version 0", { version: 0 }, "unsupported", "GGUF version 0"],
    ["that is big-endian", { version: 0x03000000 }, "unsupported", "big-endian GGUF"],
    ["with too many entries", { entries: many(4097) }, "bad_format", "metadata count is 4097"],
    [
      "with a key that occurs twice",
      { entries: [string("a", ""), string("a", "")] },
      "bad_format",
      "key a: occurs twice",
    ],
    ["with an empty key", { entries: [string("", "")] }, "bad_format", "key is empty"],
    [
      "with a key longer than the format allows",
      { entries: [string("k".repeat(65_536), "")] },
      "bad_format",
      "key length is 65536",
    ],
    [
      "with a boolean of 2",
      { entries: [{ key: "b", kind: "bool", value: 2 }] },
      "bad_format",
      "key b: boolean 2",
    ],
    [
      "with a boolean of 255 in an array",
      { entries: [{ key: "b", kind: "array", of: "bool", values: [0, 255] }] },
      "bad_format",
      "key b: boolean 255",
    ],
    [
      "with an array of arrays",
      { entries: [{ key: "a", kind: "array", of: "array", values: [] }] },
      "unsupported",
      "key a: array of arrays",
    ],
    ["with alignment 0", alignment(0), "bad_format", "key general.alignment: 0 is not"],
    ["with alignment 24", alignment(24), "bad_format", "24 is not a power of two"],
    ["with alignment 0.5", alignment(0.5, "f32"), "bad_format", "0.5 is not a power of two"],
    [
      "with an alignment that is a string",
      { entries: [string("general.alignment", "32")] },
      "bad_format",
      '"32" is not a power of two',
    ],
    ["with a tensor without name", tensor({ name: "" }), "bad_format", "name is empty"],
    [
      "with a tensor name too long to be one",
      tensor({ name: "n".repeat(257) }),
      "bad_format",
      "tensor entry 1 of 1: name length is 257",
    ],
    ["with a tensor of 0 dimensions", tensor({ dims: [] }), "bad_format", "tensor w: 0 dimensions"],
    ["with a tensor of 5", tensor({ dims: [1, 1, 1, 1, 1] }), "bad_format", "5 dimensions"],
    ["with an empty dimension", tensor({ dims: [32, 0] }), "bad_format", "dimension 1 of 0"],
    [
      "with dimensions whose product overflows",
      tensor({ dims: [2 ** 32, 2 ** 32] }),
      "bad_format",
      "tensor w: dimension 1 of 4294967296 after [4294967296]",
    ],
    [
      "with rows that are no whole blocks",
      tensor({ dims: [48], type: 2 }),
      "bad_format",
      "tensor w: rows of 48 are not whole Q4_0 blocks of 32",
    ],
    [
      "with a tensor off its alignment",
      tensor({ dims: [1], offset: 16 }),
      "bad_format",
      "tensor w: offset 16 is not a multiple of the alignment, 32",
    ],
    [
      "with a tensor past its end",
      tensor({ dims: [33] }),
      "bad_format",
      "tensor w: bytes [64, 196)",
    ],
    ["with a tensor far past it", tensor({ offset: 2 ** 52 }), "bad_format", "tensor w: bytes ["],
    [
      "with two tensors of one name",
      {
        tensors: [
          { name: "w", dims: [1], offset: 0 },
          { name: "w", dims: [1], offset: 32 },
        ],
        dataBytes: 64,
      },
      "bad_format",
      "tensor w: occurs twice",
    ],
    [
      "with tensors that overlap",
      {
        tensors: [
          { name: "b", dims: [1], offset: 32 },
          { name: "a", dims: [16], offset: 0 },
        ],
        dataBytes: 64,
      },
      "bad_format",
      "tensor b: starts at 128, inside tensor a",
    ],
    ["with a type from the future", tensor({ type: 99 }), "unsupported", "type 99 does not run"],
  ])("%s", async (_, parts, code, message) => {
    const error = await failure(writeGguf(parts).bytes);
    expect(error).toMatchObject({ name: "PronkError", code });
    expect(error?.message).toContain("m.gguf: ");
    expect(error?.message).toContain(message);
  });

  test("with a value of no known type", async () => {
    const { bytes } = writeGguf({ entries: [{ key: "a", kind: "u32", value: 1 }] });
    bytes[33] = 13;
    expect(await failure(bytes)).toMatchObject({
      code: "bad_format",
      message: "m.gguf: key a: value type 13",
    });
  });

  test("with a name that is not UTF-8, or that would garble a message", async () => {
    const { bytes } = writeGguf(tensor({}));
    bytes[32] = 0xff;
    expect((await failure(bytes))?.message).toContain("tensor entry 1 of 1: name is not UTF-8");
    const garbled = writeGguf(tensor({ name: "\u001b[31m\u202e", type: 99 })).bytes;
    expect((await failure(garbled))?.message).toContain("tensor \\u{1b}[31m\\u{202e}: type 99");
  });

  test.each([
    ...[
      [5, "Q4_3"],
      [4, "Q4_2"],
      [9, "Q8_1"],
      [15, "Q8_K"],
      [16, "IQ2_XXS"],
      [17, "IQ2_XS"],
    ],
    ...[
      [18, "IQ3_XXS"],
      [19, "IQ1_S"],
      [21, "IQ3_S"],
      [22, "IQ2_S"],
      [24, "I8"],
      [25, "I16"],
    ],
    ...[
      [26, "I32"],
      [27, "I64"],
      [28, "F64"],
      [29, "IQ1_M"],
      [31, "Q4_0_4_4"],
      [33, "Q4_0_8_8"],
    ],
    ...[
      [34, "TQ1_0"],
      [35, "TQ2_0"],
      [36, "IQ4_NL_4_4"],
      [39, "MXFP4"],
      [40, "NVFP4"],
    ],
  ] as [number, string][])("with weights of type %i, %s, saying what runs", async (type, name) => {
    expect(await failure(writeGguf(tensor({ type })).bytes)).toMatchObject({
      code: "unsupported",
      message:
        `m.gguf: tensor w: type ${name} does not run; these do: F32, F16, BF16, Q4_0, Q4_1, ` +
        "Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS",
    });
  });

  test.each([
    ["string of 33554433", "string", 32 * 1024 * 1024 + 1, "key a: string length is 33554433"],
    ["array of 16777217", "array", 16 * 1024 * 1024 + 1, "key a: array length is 16777217"],
    ["header over 64 MiB", "array", 16 * 1024 * 1024, "a header may have 67108864"],
  ] as const)("with a %s, though the file is that large", async (_, kind, length, message) => {
    const entry: Entry =
      kind === "array"
        ? { key: "a", kind, of: "u64", values: [1] }
        : { key: "a", kind, value: "b" };
    const { bytes, fields } = writeGguf({ entries: [entry] });
    new DataView(bytes.buffer).setBigUint64(fields[3]!.at, BigInt(length), true);
    const huge: ByteSource = {
      name: "m.gguf",
      size: 2 ** 40,
      async readInto(destination) {
        destination.set(bytes);
      },
    };
    await expect(readGguf(huge)).rejects.toMatchObject({
      code: "bad_format",
      message: expect.stringContaining(message),
    });
  });
});

test("stops when its signal fires", async () => {
  const aborted = AbortSignal.abort();
  const bytes = writeGguf(SMALL).bytes;
  await expect(readGguf(source(bytes), aborted)).rejects.toMatchObject({ code: "aborted" });
});
