/** The kernel modules, fetched from beside this file, where bundlers and servers keep them. */
import {
  compileKernels,
  hasRelaxedSimd,
  selectKernel,
} from "../../backends/wasm/kernel-variants.ts";
import type { LoadOptions } from "../../engine/load-model.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { PronkError } from "../../errors.ts";

/**
 * Of the two modules the one that runs here; both where relaxed SIMD is there and wrong.
 *
 * @param kernel which is asked for; simd is the plain module's
 * @throws PronkError "source_failed"; "unsupported".
 */
export async function loadKernels(kernel?: LoadOptions["kernel"]): Promise<Runtime["kernels"]> {
  if (kernel === "simd" || !hasRelaxedSimd()) return compilePlain(await readKernels("plain"));
  const kernels = { relaxed: await WebAssembly.compile(await readKernels("relaxed")) };
  try {
    selectKernel(kernels);
    return kernels;
  } catch (error) {
    if (!(error instanceof PronkError)) throw error;
  }
  const [plain, relaxed] = await Promise.all([readKernels("plain"), readKernels("relaxed")]);
  return compileKernels({ plain, relaxed });
}

function compilePlain(plain: Uint8Array<ArrayBuffer>): Promise<Runtime["kernels"]> {
  return compileKernels({ plain, relaxed: new Uint8Array() });
}

/** The bytes of a module. @throws PronkError "source_failed". */
export async function readKernels(name: "plain" | "relaxed"): Promise<Uint8Array<ArrayBuffer>> {
  // Literal URLs, from the build's folder: bundlers look for exactly this form.
  const url =
    name === "plain"
      ? new URL("../../../../wasm/dist/plain.wasm", import.meta.url)
      : new URL("../../../../wasm/dist/relaxed.wasm", import.meta.url);
  return new Uint8Array(await fetchBytes(url));
}

async function fetchBytes(url: URL): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) throw new PronkError("source_failed", `${url}: HTTP ${response.status}`);
  return response.arrayBuffer();
}
