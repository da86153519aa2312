/** Which numbers the wasm backend computes, beside the weights: part of every fingerprint. */
import { KERNEL_VERSION } from "./kernels.gen.ts";

/**
 * Of the arithmetic that is not in the C sources: frequencies of rotary positions, the order of calls, what a plan's steps
 * compute. To be raised by hand where a change of it changes logits; tests/conformance/logits-hashes.test.ts fails until then.
 */
export const ARITHMETIC_VERSION = 1;

/** One of tests/goldens/logits-hashes.json: the same version, form and KV cache type give the same bytes. */
export const NUMBERS_VERSION: string = `${KERNEL_VERSION}.${ARITHMETIC_VERSION}`;
