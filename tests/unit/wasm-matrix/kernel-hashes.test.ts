import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { kernelHashes } from "./kernel-hashes.ts";
import { VARIANTS } from "./matrix-kernels.ts";

const golden = JSON.parse(readFileSync("tests/goldens/wasm-matrix.json", "utf8"));

test.each(VARIANTS)("%s gives the bits that every runtime and variant gives", (variant) => {
  expect(kernelHashes(variant)).toEqual(golden);
});

test("GEMV and GEMM of a form have one hash", () => {
  for (const form of ["q4", "q4m", "q6m", "q8"]) {
    expect(golden[`gemv_${form}`]).toBe(golden[`gemm_${form}`]);
  }
});
