/** The kernel modules that lie beside the package, compiled as far as the engine can. */
import { compileKernels, type VectorWidth } from "../../backends/wasm/kernel-variants.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { PronkError } from "../../errors.ts";
import type { Host } from "./host.ts";

/** From here in the sources, and from here in dist/src. */
const FOLDERS = ["../../../wasm/dist/", "../../../../wasm/dist/"];

/**
 * @param vectors what Host.setSimdWidth answered
 * @throws PronkError "unsupported"; "not_found" when the package is incomplete.
 */
export async function loadKernels(
  host: Pick<Host, "readFile">,
  vectors: VectorWidth = { bits: 128 },
): Promise<Runtime["kernels"]> {
  const [plain, relaxed] = await Promise.all([
    readKernel(host, "plain", vectors),
    readKernel(host, "relaxed", vectors),
  ]);
  return { ...(await compileKernels({ plain, relaxed })), vectors };
}

/**
 * The bytes of a module; where vectors are of 256 bits, wide.wasm stands for relaxed.wasm.
 *
 * @throws PronkError "not_found" when the package is incomplete.
 */
export async function readKernel(
  host: Pick<Host, "readFile">,
  module: "plain" | "relaxed",
  { bits }: VectorWidth,
): Promise<Uint8Array<ArrayBuffer>> {
  const name = module === "relaxed" && bits === 256 ? "wide.wasm" : `${module}.wasm`;
  let cause: unknown;
  for (const folder of FOLDERS) {
    try {
      return new Uint8Array(await host.readFile(new URL(folder + name, import.meta.url)));
    } catch (error) {
      cause = error;
    }
  }
  const folder = new URL(FOLDERS[0], import.meta.url).pathname;
  throw new PronkError("not_found", `kernels: no ${name} in ${folder}`, { cause });
}
