/** A runtime's GPU in full, for what runs models there; `Runtime` tells less, in types that every program has. */
import type { GpuHost } from "../backends/webgpu/gpu-host.ts";
import { PronkError } from "../errors.ts";
import type { Runtime } from "./runtime.ts";

/** With the code that runs models on it, which is loaded where there is an adapter. */
export interface GpuPlatform extends GpuHost {
  backend(): Promise<GpuBackend>;
}

export type GpuBackend = typeof import("./gpu-backend.ts");

/** @throws PronkError "unsupported" where there is none. */
export function platformOf({ gpu }: Pick<Runtime, "gpu">): GpuPlatform {
  // Entries make it as this.
  if (typeof gpu === "object") return gpu as GpuPlatform;
  throw new PronkError("unsupported", `webgpu: ${gpu ?? "this runtime has none"}`);
}
