import { describe, expect, test } from "vitest";
import { TYPE_BLOCKS } from "../../../src/formats/gguf/types.ts";
import type { TensorType } from "../../../src/formats/model-file.ts";
import { type FormOptions, formFor, sharedScales } from "../../../src/pack/form-choice.ts";
import { keepsCodes } from "../../../src/pack/panels/row-packer.ts";

const TYPES = Object.keys(TYPE_BLOCKS) as TensorType[];
const MATRIX = { profile: "default", role: "matrix" } as const;

/** type: auto matrix, auto embedding in the small profile, q4 matrix, q4 embedding */
const TABLE: Readonly<Record<TensorType, readonly [string, string, string, string]>> = {
  F32: ["q8", "q6m", "q4m", "q6m"],
  F16: ["q8", "q6m", "q4m", "q6m"],
  BF16: ["q8", "q6m", "q4m", "q6m"],
  Q4_0: ["q4", "q4", "q4", "q4"],
  Q4_1: ["q4m", "q4m", "q4m", "q4m"],
  Q5_0: ["q6m", "q6m", "q4m", "q6m"],
  Q5_1: ["q6m", "q6m", "q4m", "q6m"],
  Q8_0: ["q8", "q6m", "q4m", "q6m"],
  Q2_K: ["q6m", "q6m", "q4m", "q6m"],
  Q3_K: ["q6m", "q6m", "q4m", "q6m"],
  Q4_K: ["q4m", "q4m", "q4m", "q4m"],
  Q5_K: ["q6m", "q6m", "q4m", "q6m"],
  Q6_K: ["q8", "q6m", "q4m", "q6m"],
  IQ4_NL: ["q8", "q6m", "q4m", "q6m"],
  IQ4_XS: ["q8", "q6m", "q4m", "q6m"],
};

describe.each(TYPES)("%s", (type) => {
  const form = (options: Partial<FormOptions>, cols = 256): string =>
    formFor(type, cols, { quantization: "auto", ...MATRIX, ...options });
  const exact = type === "BF16" ? "bf16" : "f32";

  test("has a form for every choice", () => {
    const [auto, smallEmbedding, q4, q4Embedding] = TABLE[type];
    expect(form({})).toBe(auto);
    expect(form({ role: "embedding" })).toBe(auto);
    expect(form({ profile: "small" })).toBe(auto);
    expect(form({ profile: "small", role: "embedding" })).toBe(smallEmbedding);
    for (const name of ["int4", "int4g32", "int4g64", "int4g128"] as const) {
      expect(form({ quantization: name })).toBe(q4);
      expect(form({ quantization: name, role: "embedding" })).toBe(q4Embedding);
    }
    expect(form({ quantization: "int8" })).toBe(form({ quantization: "q8" }));
    expect(form({ quantization: "q4" })).toBe(q4);
    expect(form({ quantization: "q4", role: "embedding" })).toBe(q4Embedding);
    const isSmallest = type === "Q4_0"; // its blocks take the same bytes, and stay
    const q4s = isSmallest ? "q4" : "q4s";
    expect(form({ quantization: "q4s" })).toBe(q4s);
    expect(form({ quantization: "q4s", profile: "small", role: "embedding" })).toBe(q4s);
    expect(form({ quantization: "q4s", role: "embedding" })).toBe(
      q4Embedding === "q6m" ? "q6m" : q4s,
    );
    expect(form({ quantization: "q8" })).toBe("q8");
    expect(form({ quantization: "q8", profile: "small", role: "embedding" })).toBe("q6m");
    expect(form({ quantization: "none" })).toBe(exact);
    expect(form({ quantization: "f16" })).toBe(exact);
    expect(form({ quantization: "f32" })).toBe("f32");
    expect(form({ quantization: "none", profile: "small", role: "embedding" })).toBe(exact);
  });

  test("is not put into blocks where columns do not fill them, whatever is asked", () => {
    for (const quantization of ["auto", "none", "q4", "q4s", "q8", "f16"] as const) {
      expect(form({ quantization }, 72)).toBe(exact);
      expect(form({ quantization, profile: "small", role: "embedding" }, 72)).toBe(exact);
    }
    expect(form({ quantization: "f32" }, 72)).toBe("f32");
  });

  test("keeps its values under none", () => {
    expect(keepsCodes(type, exact)).toBe(true);
  });
});

test("only 4-bit matrices share scales beyond a block, as many columns as was asked", () => {
  expect(sharedScales("int4", "q4m")).toEqual({ groupCols: 128 });
  expect(sharedScales("int4g64", "q4m")).toEqual({ groupCols: 64 });
  expect(sharedScales("int4g32", "q4m")).toEqual({});
  expect(sharedScales("q4", "q4m")).toEqual({});
  for (const form of ["q4", "q4s", "q6m", "q8", "f32", "vector"] as const) {
    expect(sharedScales("int4", form)).toEqual({});
  }
});
