/** The GPU of runtimes that have navigator.gpu: Deno, pages and their workers. */
import type { GpuBackend, GpuPlatform } from "../engine/gpu-platform.ts";

/** @param missing why a runtime like this one may have no navigator.gpu */
export function webGpu(missing: string): GpuPlatform | string {
  const gpu: GPU | undefined = globalThis.navigator?.gpu;
  return gpu === undefined ? missing : { open: async () => gpu, backend: gpuBackend };
}

/** The code for GPUs, loaded when one was found. */
export function gpuBackend(): Promise<GpuBackend> {
  return import("../engine/gpu-backend.ts");
}
