import { describe, expect, test } from "vitest";
import { readSafetensors } from "../../../../src/formats/safetensors/read-safetensors.ts";
import { memorySource } from "../../../../src/sources/memory.ts";

/** A safetensors file with this header and this many bytes of zeroed tensor data. */
function file(header: string, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

function withLength(length: bigint): Uint8Array {
  const bytes = file("{}", 0);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  return bytes;
}

const q = `"q":{"dtype":"F16","shape":[3,2],"data_offsets":[0,12]}`;
const after = (from: number, to: number): string =>
  `"r":{"dtype":"U8","shape":[${to - from}],"data_offsets":[${from},${to}]}`;

test("lists tensors at their absolute byte ranges, in the order of their data", async () => {
  const header = `{"__metadata__":{"format":"pt"},${after(12, 15)},${q}}`;
  const source = memorySource(file(header, 15), "a.safetensors");
  const tensors = await readSafetensors(source);

  const start = 8 + header.length;
  expect([...tensors]).toEqual([
    ["q", { dtype: "F16", shape: [3, 2], source, start, bytes: 12 }],
    ["r", { dtype: "U8", shape: [3], source, start: start + 12, bytes: 3 }],
  ]);
});

test("takes scalars and tensors without elements", async () => {
  const header = `{"e":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`;
  const tensors = await readSafetensors(memorySource(file(header, 4), "a"));
  expect([...tensors.values()].map(({ bytes }) => bytes)).toEqual([0, 4]);
});

describe("refuses a file", () => {
  test.each([
    ["shorter than its length prefix", new Uint8Array(7), "bad_format"],
    ["whose header passes its end", file(`{${q}}`, 12).subarray(0, 20), "bad_format"],
    ["whose header length is a terabyte", withLength(2n ** 40n), "bad_format"],
    ["whose header length is 2^64 - 1", withLength(2n ** 64n - 1n), "bad_format"],
    ["whose header is not JSON", file("{", 0), "bad_format"],
    ["whose header is not UTF-8", file("{}", 0).fill(0xff, 9), "bad_format"],
    ["whose header is an array", file("[]", 0), "bad_format"],
    ["whose header is nested without end", file("[".repeat(100_000), 0), "bad_format"],
    ["whose entry is not an object", file(`{"q":1}`, 0), "bad_format"],
    ["cut off inside a tensor", file(`{${q}}`, 11), "bad_format"],
    ["that goes on behind the last tensor", file(`{${q}}`, 13), "bad_format"],
    ["whose shape and range disagree", file(`{${q.replace("12", "10")}}`, 12), "bad_format"],
    ["whose range is backwards", file(`{${q.replace("[0,12]", "[12,0]")}}`, 12), "bad_format"],
    [
      "whose tensor starts in the header",
      file(`{${q.replace("[0,12]", "[-12,0]")}}`, 12),
      "bad_format",
    ],
    ["whose tensors overlap", file(`{${q},${after(10, 14)}}`, 14), "bad_format"],
    ["whose tensors leave a gap", file(`{${q},${after(14, 16)}}`, 16), "bad_format"],
    ["with a negative size", file(`{${q.replace("[3,2]", "[-3,-2]")}}`, 12), "bad_format"],
    ["with a size that is not whole", file(`{${q.replace("[3,2]", "[1.5,4]")}}`, 12), "bad_format"],
    [
      "whose sizes overflow",
      file(`{${q.replace("[3,2]", `[${2 ** 52},${2 ** 52}]`)}}`, 12),
      "bad_format",
    ],
    [
      "with a dtype that is not the format's",
      file(`{${q.replace("F16", "F12")}}`, 12),
      "unsupported",
    ],
    ["with a dtype out of Object", file(`{${q.replace("F16", "constructor")}}`, 12), "unsupported"],
  ])("%s", async (_, bytes, code) => {
    await expect(readSafetensors(memorySource(bytes, "bad.safetensors"))).rejects.toMatchObject({
      code,
      message: expect.stringContaining("bad.safetensors"),
    });
  });

  test("whose header is larger than any model's, without reading it", async () => {
    let read = 0;
    const size = 2 ** 30;
    const source = {
      name: "huge",
      size,
      async readInto(into: Uint8Array) {
        read += into.length;
        new DataView(into.buffer).setBigUint64(0, BigInt(size - 8), true);
      },
    };
    await expect(readSafetensors(source)).rejects.toMatchObject({ code: "bad_format" });
    expect(read).toBe(8);
  });
});
