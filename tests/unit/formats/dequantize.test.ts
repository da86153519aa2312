/** The real blocks of every type are compared with ggml's in tests/parity. */
import { describe, expect, test } from "vitest";
import { dequantize } from "../../../src/formats/gguf/dequantize.ts";
import { TYPE_BLOCKS } from "../../../src/formats/gguf/types.ts";
import { f16ToF32 } from "../../../src/formats/half.ts";
import type { TensorType } from "../../../src/formats/model-file.ts";

const types = Object.keys(TYPE_BLOCKS) as TensorType[];

test("every f16 is written as its exact value, NaN and infinities included", () => {
  const bits = Uint16Array.from({ length: 65_536 }, (_, i) => i);
  const out = new Float32Array(65_536);
  dequantize("F16", new Uint8Array(bits.buffer), out);
  expect(bits.findIndex((b) => !Object.is(out[b], f16ToF32(b)))).toBe(-1);
});

test.each(types)("%s of no weights is nothing", (type) => {
  expect(() => dequantize(type, new Uint8Array(0), new Float32Array(0))).not.toThrow();
});

test.each(types)("%s fills a view and nothing beside it", (type) => {
  const { elements, bytes } = TYPE_BLOCKS[type];
  const blocks = Uint8Array.from({ length: bytes * 3 }, (_, i) => (i * 37) & 63);
  const whole = new Float32Array(elements * 3);
  dequantize(type, blocks, whole);

  const out = new Float32Array(elements + 2).fill(7);
  dequantize(type, blocks.subarray(bytes, bytes * 2), out.subarray(1, -1));
  expect([...out]).toEqual([7, ...whole.subarray(elements, elements * 2), 7]);
});

describe("refuses", () => {
  test.each(types)("%s bytes that are not the blocks of that many weights", (type) => {
    const { elements, bytes } = TYPE_BLOCKS[type];
    for (const [given, asked] of [
      [bytes - 1, elements],
      [bytes + 1, elements],
      [bytes, elements * 2],
      [bytes * 2, elements],
      [0, elements],
    ] as const) {
      expect(() => dequantize(type, new Uint8Array(given), new Float32Array(asked))).toThrow(
        expect.objectContaining({
          code: "bad_request",
          message: `dequantize: ${given} bytes of ${type} are not ${asked} weights`,
        }),
      );
    }
  });

  test("half a block, though the bytes would match it", () => {
    expect(() => dequantize("Q4_0", new Uint8Array(9), new Float32Array(16))).toThrow(
      expect.objectContaining({ code: "bad_request" }),
    );
  });
});
