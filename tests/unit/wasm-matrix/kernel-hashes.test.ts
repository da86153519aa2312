import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { BUILDS } from "../../support/kernel-builds.ts";
import { kernelHashes } from "./kernel-hashes.ts";
import { QUANTIZED_FORMS } from "./matrix-oracle.ts";

const golden = JSON.parse(readFileSync("tests/goldens/wasm-matrix.json", "utf8"));

test.each(BUILDS)("%s gives the bits that every runtime and variant gives", (build) => {
  expect(kernelHashes(build)).toEqual(golden);
});

test("GEMV and GEMM of a form have one hash", () => {
  for (const form of QUANTIZED_FORMS) {
    expect(golden[`gemv_${form}`]).toBe(golden[`gemm_${form}`]);
  }
});
