/**
 * SHA-256 of what each operation gives on fixed inputs, by one build: equal on every runtime and for
 * every variant. Needs no test runner, so that any runtime can run it (check-variants.ts).
 */
import { createHash } from "node:crypto";
import { ActivationLayout, activationBytes } from "../../../src/backends/wasm/activation-layout.ts";
import type { MatrixForm } from "../../../src/pack/forms.ts";
import { type KernelBuild, moduleOf } from "../../support/kernel-builds.ts";
import { GuardedMemory } from "../backends/wasm-attention-kernels.ts";
import { multiplyByKernel } from "./matrix-kernels.ts";
import { QUANTIZED_FORMS, randomFloats, randomMatrix } from "./matrix-oracle.ts";

const [ROWS, COLS, TOKENS] = [80, 608, 7];
/** Activations of wasm/glu.c. */
const GLU_KINDS = 7;
const FLOAT_FORMS = ["f32", "bf16"] as const;

function sha256(data: ArrayBufferView): string {
  return createHash("sha256")
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest("hex");
}

export function kernelHashes(build: KernelBuild): Record<string, string> {
  const hashes: Record<string, string> = {};
  const inputs = Array.from({ length: TOKENS }, (_, t) => randomFloats(100 + t, COLS, 3));
  for (const form of QUANTIZED_FORMS) {
    const matrix = randomMatrix(form, ROWS, COLS, 7);
    for (const how of ["gemv", "gemm"] as const) {
      const { y } = multiplyByKernel(build, how, form, matrix, inputs, ROWS, { before: 0.7 });
      hashes[`${how}_${form}`] = sha256(y);
    }
  }

  const space = new GuardedMemory();
  const kernels = space.kernels(moduleOf(build));
  const x = space.copyIn(randomFloats(1, TOKENS * COLS, 9));
  const weight = space.copyIn(randomFloats(2, COLS));
  const y = space.allocate(TOKENS * COLS * 4);
  const record = (name: string, run: () => void): void => {
    run();
    hashes[name] = sha256(space.floats(y, TOKENS * COLS));
  };
  record("rms_norm", () => kernels.rms_norm(y, x, weight, TOKENS, COLS, 1e-5));
  record("swiglu", () => kernels.swiglu(y, x, TOKENS, COLS / 2, COLS / 2, COLS));
  record("add", () => kernels.add(y, x, TOKENS * COLS));
  record("add_bias", () => kernels.add_bias(y, weight, TOKENS, COLS, COLS));

  const matrixOf = (form: MatrixForm, bytes: Uint8Array): number => {
    const at = space.allocate(bytes.length);
    space.bytes(at, bytes.length).set(bytes);
    hashes[`weights_${form}`] = sha256(bytes);
    return at;
  };
  const ids = space.allocate(TOKENS * 4);
  new Int32Array(space.memory.buffer, ids, TOKENS).set([0, 79, 16, 3, 3, 47, 60]);
  for (const form of QUANTIZED_FORMS) {
    const w = matrixOf(form, randomMatrix(form, ROWS, COLS, 8));
    record(`embed_${form}`, () => kernels[`embed_${form}`](y, w, ids, TOKENS, COLS));
  }
  for (const form of FLOAT_FORMS) {
    const random = randomFloats(3, ROWS * COLS);
    // of bf16, the upper half of each f32
    const words = form === "f32" ? random : new Uint16Array(random.buffer).filter((_, i) => i % 2);
    const bytes = new Uint8Array(words.buffer, 0, words.byteLength);
    const w = matrixOf(form, bytes);
    record(`embed_${form}`, () => kernels[`embed_${form}`](y, w, ids, TOKENS, COLS));
    record(`matmul_${form}`, () =>
      kernels[`matmul_${form}`](y, w, x, TOKENS, ROWS, COLS, COLS, ROWS, 0),
    );
  }
  for (const [name, layout] of Object.entries(ActivationLayout)) {
    const size = activationBytes(layout, TOKENS, COLS);
    const a = space.allocate(size);
    kernels.quantize(a, x, TOKENS, COLS, COLS, layout);
    hashes[`quantize_${name}`] = sha256(space.bytes(a, size));
  }
  for (let kind = 0; kind < GLU_KINDS; kind++) {
    record(`glu_${kind}`, () => kernels.glu(y, x, TOKENS, COLS / 2, COLS / 2, COLS, kind));
  }
  return hashes;
}
