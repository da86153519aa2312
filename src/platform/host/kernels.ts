/** The kernel modules that lie beside the package, compiled as far as the engine can. */
import { compileKernels } from "../../backends/wasm/kernel-variants.ts";
import type { Runtime } from "../../engine/runtime.ts";
import { PronkError } from "../../errors.ts";
import type { Host } from "./host.ts";

/** From here in the sources, and from here in dist/src. */
const FOLDERS = ["../../../wasm/dist/", "../../../../wasm/dist/"];

/** @throws PronkError "unsupported"; "not_found" when the package is incomplete. */
export async function loadKernels(host: Pick<Host, "readFile">): Promise<Runtime["kernels"]> {
  const [plain, relaxed] = await Promise.all([
    readKernel(host, "plain.wasm"),
    readKernel(host, "relaxed.wasm"),
  ]);
  return compileKernels({ plain, relaxed });
}

/** The bytes of a module. @throws PronkError "not_found" when the package is incomplete. */
export async function readKernel(
  host: Pick<Host, "readFile">,
  name: string,
): Promise<Uint8Array<ArrayBuffer>> {
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
