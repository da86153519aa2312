/**
 * Instantiates a compiled kernel module on a given memory, after checking that it is one of ours.
 */
import { PronkError } from "../../errors.ts";
import type { QuantizedForm } from "../../pack/forms.ts";
import type { KernelVariant } from "./activation-layout.ts";
import { KERNEL_NAMES, type Kernels, type Pointer } from "./kernels.gen.ts";

/** y = W a for one row of activations; `rows` is padded to 16. */
export type Gemv = (
  y: Pointer,
  w: Pointer,
  a: Pointer,
  rows: number,
  cols: number,
  accumulate: number,
) => void;

/** Y = W A for tiles of 4 tokens; y (tokens padded to 4, ldy). */
export type Gemm = (
  y: Pointer,
  w: Pointer,
  a: Pointer,
  scratch: Pointer,
  tokens: number,
  rows: number,
  cols: number,
  ldy: number,
  accumulate: number,
) => void;

/**
 * Compares what a module exports with what the sources promise, and says which module it is.
 *
 * @throws PronkError "unsupported" that names the missing kernels.
 */
export function verifyKernels(module: WebAssembly.Module): "relaxed" | "plain" {
  const exported = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  const missing = (name: "relaxed" | "plain"): string[] =>
    KERNEL_NAMES[name].filter((kernel) => !exported.has(kernel));
  const [relaxed, plain] = [missing("relaxed"), missing("plain")];
  const name = relaxed.length < plain.length ? "relaxed" : "plain";
  const fewer = name === "relaxed" ? relaxed : plain;
  if (fewer.length > 0) {
    throw new PronkError(
      "unsupported",
      `kernels: ${name}.wasm: missing ${fewer.join(", ")}; it belongs to another version`,
    );
  }
  return name;
}

/**
 * The kernels of a module, working on `memory`, whose first `reservedBytes` are the module's own:
 * its stack and constants.
 *
 * @throws PronkError "unsupported" when the module is none of ours or needs more for itself.
 */
export function instantiateKernels(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  reservedBytes: number,
): Kernels {
  const name = verifyKernels(module);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const kernels = exports as unknown as Kernels;
  const own = Number(kernels.__heap_base.value);
  if (own > reservedBytes) {
    throw new PronkError(
      "unsupported",
      `kernels: ${name}.wasm: ${own} bytes are its own, ${reservedBytes} were reserved`,
    );
  }
  return kernels;
}

/**
 * The matrix kernels of a variant and a form.
 *
 * @throws PronkError "unsupported" when the kernels are another variant's.
 */
export function quantizedMatmul(
  kernels: Kernels,
  variant: KernelVariant,
  form: QuantizedForm,
): { gemv: Gemv; gemm: Gemm } {
  const all = kernels as unknown as Record<string, unknown>;
  const gemv = all[`gemv_${form}_${variant}`];
  const gemm = all[`gemm_${form}_${variant}`];
  if (typeof gemv !== "function" || typeof gemm !== "function") {
    throw new PronkError(
      "unsupported",
      `kernels: no ${variant} kernels for ${form} in this module`,
    );
  }
  return { gemv: gemv as Gemv, gemm: gemm as Gemm };
}

/**
 * A kernel by its full name; the names were verified when the module was loaded.
 *
 * @throws PronkError "unsupported" when the kernels are another variant's.
 */
export function namedKernel(kernels: Kernels, name: string): (...args: number[]) => number {
  const found = (kernels as unknown as Record<string, (...args: number[]) => number>)[name];
  if (!found) throw new PronkError("unsupported", `no kernel ${name} in this module`);
  return found;
}
