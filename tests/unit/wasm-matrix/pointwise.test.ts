import { describe, expect, test } from "vitest";
import { ACTIVATIONS } from "../../../src/backends/reference/activations.ts";
import { MODULES } from "../../support/kernel-builds.ts";
import { GuardedMemory } from "../backends/wasm-attention-kernels.ts";
import { randomFloats } from "./matrix-oracle.ts";

const { fround, sqrt } = Math;

const GLU_KINDS = [
  "quick_gelu",
  "gelu_tanh",
  "gelu",
  "relu",
  "relu2",
  "sigmoid",
  "linear",
] as const;

/** x / rms(x) * weight with the sum in 8 lanes, as wasm/rms_norm.c says it. */
function rmsNorm(x: Float32Array, weight: Float32Array, eps: number): Float32Array {
  const lanes = new Float32Array(8);
  x.forEach((value, k) => {
    lanes[k % 8] += fround(value * value);
  });
  const [a, b, c, d] = [0, 1, 2, 3].map((i) => fround(lanes[i] + lanes[i + 4]));
  const mean = fround(fround(fround(a + b) + fround(c + d)) / x.length);
  const r = fround(1 / fround(sqrt(fround(mean + fround(eps)))));
  return x.map((value, k) => fround(value * r) * weight[k]);
}

describe.each(MODULES)("%s.wasm", (module) => {
  test.each([1, 3, 4, 7, 8, 9, 15, 64, 576])(
    "rms_norm of %i columns is the sum in its order",
    (dim) => {
      const space = new GuardedMemory();
      const kernels = space.kernels(module);
      const rows = Array.from({ length: 3 }, (_, t) => randomFloats(dim + t, dim, 10 ** t));
      const weights = randomFloats(2, dim);
      const x = space.copyIn(Float32Array.from(rows.flatMap((row) => [...row])));
      const weight = space.copyIn(weights);
      const y = space.allocate(3 * dim * 4);
      kernels.rms_norm(y, x, weight, 3, dim, 1e-5);
      const expected = rows.flatMap((row) => [...rmsNorm(row, weights, 1e-5)]);
      expect(Array.from(space.floats(y, 3 * dim))).toEqual(expected);

      kernels.rms_norm(x, x, weight, 3, dim, 1e-5); // in place
      expect(Array.from(space.floats(x, 3 * dim))).toEqual(expected);
      expect(space.damaged()).toEqual([]);
    },
  );

  test("rms_norm of zeros is zeros, thanks to eps", () => {
    const space = new GuardedMemory();
    const x = space.copyIn(new Float32Array(12));
    const weight = space.copyIn(new Float32Array(12).fill(1));
    space.kernels(module).rms_norm(x, x, weight, 1, 12, 1e-6);
    expect(space.floats(x, 12)).toEqual(new Float32Array(12));
  });

  test.each([1, 2, 5, 8, 33])("swiglu of %i columns is silu(gate) * up", (ffn) => {
    const [rows, upOffset, ld] = [3, ffn + 2, 2 * ffn + 5];
    const space = new GuardedMemory();
    const gateUp = randomFloats(ffn, rows * ld, 12);
    const x = space.copyIn(gateUp);
    const y = space.allocate(rows * ffn * 4);
    space.kernels(module).swiglu(y, x, rows, ffn, upOffset, ld);
    const found = space.floats(y, rows * ffn);
    for (let i = 0; i < found.length; i++) {
      const at = Math.floor(i / ffn) * ld + (i % ffn);
      const [gate, up] = [gateUp[at], gateUp[at + upOffset]];
      const expected = (gate / (1 + Math.exp(-gate))) * up;
      // exp within 2e-7, then four roundings of 6e-8
      expect(Math.abs(found[i] - expected)).toBeLessThanOrEqual(Math.abs(expected) * 4.5e-7);
    }
    expect(space.damaged()).toEqual([]);
  });

  test("swiglu saturates: far left 0, far right the product, and NaN stays NaN", () => {
    const space = new GuardedMemory();
    const x = space.copyIn(Float32Array.from([-200, 200, Number.NaN, 0, 3, 3, 3, 3]));
    const y = space.allocate(16);
    space.kernels(module).swiglu(y, x, 1, 4, 4, 8);
    const [left, right, nan, zero] = space.floats(y, 4);
    expect(Math.abs(left)).toBeLessThan(1e-35);
    expect([right, zero]).toEqual([600, 0]);
    expect(nan).toBeNaN();
  });

  // In the order of wasm/glu.c; units of rounding of f32, of the activation and absolute.
  test.each([
    ["quick_gelu", 60, 0], // e^u multiplies the roundings of u, up to 51 here
    ["gelu_tanh", 200, 0], // and here up to 88, which have three
    ["gelu", 4, 12], // 1 + erf cancels below 0
    ["relu", 1, 0],
    ["relu2", 1, 0],
    ["sigmoid", 4, 0],
    ["linear", 1, 0],
  ] as const)("glu with %s is the reference's within its rounding", (name, relative, absolute) => {
    const [rows, ffn, upOffset, ld] = [3, 33, 35, 71];
    const space = new GuardedMemory();
    const gateUp = randomFloats(5, rows * ld, 8);
    gateUp.set([0, -0, 30, -30, 1e-20, -1e-20, 3e4]);
    const x = space.copyIn(gateUp);
    const y = space.allocate(rows * ffn * 4);
    space.kernels(module).glu(y, x, rows, ffn, upOffset, ld, GLU_KINDS.indexOf(name));
    const found = space.floats(y, rows * ffn);
    for (let i = 0; i < found.length; i++) {
      const at = Math.floor(i / ffn) * ld + (i % ffn);
      const [gate, up] = [gateUp[at], gateUp[at + upOffset]];
      const expected = ACTIVATIONS[name](gate);
      const tolerance =
        Math.abs(expected) * (relative + 1) + absolute * Math.max(1, Math.abs(gate));
      const difference = Math.abs(found[i] - expected * up);
      expect(difference, `${name}(${gate})`).toBeLessThanOrEqual(
        tolerance * Math.abs(up) * 2 ** -24 + 1e-34, // where e^x is clamped
      );
    }
    expect(space.damaged()).toEqual([]);
  });

  test("glu keeps NaN, whatever the activation", () => {
    for (const kind of GLU_KINDS.keys()) {
      const space = new GuardedMemory();
      const x = space.copyIn(Float32Array.from([Number.NaN, 1, 1, 1, Number.NaN, 1, 1, 1, 1, 1]));
      const y = space.allocate(20);
      space.kernels(module).glu(y, x, 1, 5, 5, 10, kind);
      expect(Array.from(space.floats(y, 5), Number.isNaN)).toEqual([
        true,
        false,
        false,
        false,
        true,
      ]);
    }
  });

  test.each([1, 3, 4, 9, 64])("add of %i numbers", (n) => {
    const space = new GuardedMemory();
    const [a, b] = [randomFloats(1, n), randomFloats(2, n)];
    const [y, x] = [space.copyIn(a), space.copyIn(b)];
    space.kernels(module).add(y, x, n);
    expect(space.floats(y, n)).toEqual(a.map((value, i) => value + b[i]));
    expect(space.damaged()).toEqual([]);
  });

  test("add_bias adds to each row and leaves the gap between rows", () => {
    const [tokens, cols, ldy] = [3, 6, 9];
    const space = new GuardedMemory();
    const rows = randomFloats(1, tokens * ldy);
    const bias = randomFloats(2, cols);
    const y = space.copyIn(rows);
    space.kernels(module).add_bias(y, space.copyIn(bias), tokens, cols, ldy);
    expect(space.floats(y, tokens * ldy)).toEqual(
      rows.map((value, i) => (i % ldy < cols ? value + bias[i % ldy] : value)),
    );
  });
});

describe.each(MODULES)("argmax in %s.wasm", (module) => {
  const argmax = (values: ArrayLike<number>): number => {
    const space = new GuardedMemory();
    const x = space.copyIn(Float32Array.from(values));
    return space.kernels(module).argmax(x, values.length);
  };
  const low = Number.NEGATIVE_INFINITY;

  test("finds the largest wherever it is", () => {
    for (const n of [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33]) {
      for (let at = 0; at < n; at++) {
        const values = randomFloats(n, n);
        values[at] = 3;
        expect(argmax(values), `${at} of ${n}`).toBe(at);
      }
    }
  });

  test("passes over NaN wherever it is", () => {
    for (let at = 0; at < 24; at++) {
      const values = randomFloats(24, 24); // 8 apart, both are in one lane
      values[(at + 8) % 24] = 3;
      values[at] = Number.NaN;
      expect(argmax(values), `NaN at ${at}`).toBe((at + 8) % 24);
    }
  });

  test.each([
    ["the lowest id wins a tie", [1, 5, 2, 5, 5, 0, 5, 5, 5], 1],
    ["zeros of both signs tie", [-1, -0, 0, 0, -0], 1],
    ["NaN never wins", [Number.NaN, 1, Number.NaN, 2, Number.NaN, 1, 0, 0, Number.NaN], 3],
    ["an infinity wins", [1, Number.POSITIVE_INFINITY, 3, 4, 5], 1],
    ["minus infinity loses to anything", [low, low, -3e38, low], 2],
    ["all minus infinity: the first", [low, low, low, low, low], 0],
    ["all NaN: the first", new Array(9).fill(Number.NaN), 0],
  ])("%s", (_, values, expected) => {
    expect(argmax(values)).toBe(expected);
  });
});
