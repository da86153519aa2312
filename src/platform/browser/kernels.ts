/** The kernel modules, fetched from beside this file, where bundlers and servers keep them. */
import { compileKernels } from "../../backends/wasm/kernel-variants.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { PronkError } from "../../errors.ts";

/** @throws PronkError "source_failed"; "unsupported". */
export async function loadKernels(): Promise<Runtime["kernels"]> {
  const [plain, relaxed] = await Promise.all([readKernels("plain"), readKernels("relaxed")]);
  return compileKernels({ plain, relaxed });
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
