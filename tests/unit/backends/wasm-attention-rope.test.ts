import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { MODULES } from "../../support/kernel-builds.ts";
import { GuardedMemory, randomNumbers } from "./wasm-attention-kernels.ts";

const TABLE_SHA256 = "da5a02ae3dae4d913e02a6988d511220aa29d61194fe5e40097464cf24f21c65";

interface Tables {
  readonly space: GuardedMemory;
  readonly cos: number;
  readonly sin: number;
}

/** Tables of `positions` rows, written in two calls. */
function tables(
  module: string,
  frequencies: readonly number[],
  positions: number,
  scale = 1,
): Tables {
  const space = new GuardedMemory();
  const half = frequencies.length;
  const inverse = space.copyIn(Float64Array.from(frequencies));
  const cos = space.allocate(positions * half * 4);
  const sin = space.allocate(positions * half * 4);
  const split = Math.floor(positions / 3);
  const kernels = space.kernels(module);
  kernels.rope_table(cos, sin, inverse, half, 0, split, scale);
  kernels.rope_table(cos, sin, inverse, half, split, positions, scale);
  return { space, cos, sin };
}

/** Of Llama 2 and 3: theta^(-2i / headDim). */
function frequencies(theta: number, headDim: number): number[] {
  return Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
}

describe("rope_table", () => {
  test.each([
    ["10,000 and head size 64", frequencies(10_000, 64), 4096, 1],
    ["500,000 and head size 128", frequencies(500_000, 128), 8192, 1],
    ["a factor", frequencies(10_000, 6), 300, Math.fround(1.2)],
    ["angles up to 2^20", [1, 255.99, 1023.1], 1024, 1],
    ["angles up to 2^28", [262143.9, 262144, 1e-12], 1024, 1],
  ])("is the nearest f32, or next to it: %s", (_, inverse, positions, scale) => {
    const { space, cos, sin } = tables("plain", inverse, positions, scale);
    const half = inverse.length;
    const [c, s] = [space.floats(cos, positions * half), space.floats(sin, positions * half)];
    let worst = 0;
    for (let position = 0; position < positions; position++)
      for (let i = 0; i < half; i++) {
        const angle = Math.fround(position * Math.fround(inverse[i]));
        // half a unit of f32 for each rounding (value, product with the factor); 1e-14: our own error and Math's
        for (const [actual, exact] of [
          [c[position * half + i], Math.cos(angle) * scale],
          [s[position * half + i], Math.sin(angle) * scale],
        ])
          worst = Math.max(
            worst,
            (Math.abs(actual - exact) - 1e-14) / (Math.abs(exact) * 2 ** -24 + 2 ** -149),
          );
      }
    expect(worst).toBeLessThanOrEqual(scale === 1 ? 1 : 2);
    expect(space.damaged()).toEqual([]);
  });

  test("writes the rows it is asked for and no others", () => {
    const space = new GuardedMemory();
    const inverse = space.copyIn(Float64Array.of(1, 0.5));
    const [cos, sin] = [space.allocate(10 * 8), space.allocate(10 * 8)];
    space.kernels("plain").rope_table(cos, sin, inverse, 2, 3, 7, 1);
    for (const table of [cos, sin])
      expect([...space.floats(table, 20)].map(Number.isNaN)).toEqual(
        Array.from({ length: 20 }, (_, i) => i < 6 || i >= 14),
      );
  });

  test.each(MODULES)("has the bits of every other runtime: %s module", (module) => {
    const { space, cos, sin } = tables(module, [1, 0.1, 0.01, 0.0023, 3e-5, 1000.7], 3000);
    const hash = createHash("sha256");
    hash.update(space.bytes(cos, 3000 * 24)).update(space.bytes(sin, 3000 * 24));
    expect(hash.digest("hex")).toBe(TABLE_SHA256);
  });
});

describe("rope", () => {
  test.each([2, 6, 8, 22, 64, 80, 128])("rotates the halves of each head: head size %i", (dim) => {
    const [rows, heads, position, half] = [5, 3, 4, dim / 2];
    const ldx = heads * dim + 5;
    const { space, cos, sin } = tables("plain", frequencies(10_000, dim), 12);
    const given = randomNumbers(dim, (rows - 1) * ldx + heads * dim);
    const x = space.copyIn(given);
    space.kernels("plain").rope(x, rows, ldx, heads, dim, position, cos, sin);
    const expected = given.slice();
    const c = space.floats(cos, 12 * half);
    const s = space.floats(sin, 12 * half);
    for (let row = 0; row < rows; row++)
      for (let head = 0; head < heads; head++)
        for (let i = 0; i < half; i++) {
          const low = row * ldx + head * dim + i;
          const [a, b] = [given[low], given[low + half]];
          const at = (position + row) * half + i;
          expected[low] = Math.fround(a * c[at]) - Math.fround(b * s[at]);
          expected[low + half] = Math.fround(b * c[at]) + Math.fround(a * s[at]);
        }
    expect(space.floats(x, given.length)).toEqual(expected);
    expect(space.damaged()).toEqual([]);
  });
});
