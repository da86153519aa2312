/** A GPU that an optional package gives: looked for and loaded when one is asked for, once. */
import type { GpuPlatform } from "../../engine/gpu-platform.ts";
import { gpuBackend } from "../web-gpu.ts";

/**
 * @param find the place of the package; undefined: it is not installed
 * @param load its GPU, which is kept as long as the process: adapters and devices die with it
 * @param install how to get the package, for people
 */
export function packagedGpu(
  find: () => string | undefined,
  load: (place: string) => Promise<GPU>,
  install: string,
): GpuPlatform {
  let loaded: Promise<GPU> | undefined;
  return {
    backend: gpuBackend,
    async open() {
      if (loaded === undefined) {
        const place = find();
        if (place === undefined) return `no WebGPU here without a package: ${install}`;
        loaded = load(place);
      }
      try {
        return await loaded;
      } catch (error) {
        // A binary that does not fit the machine; another try gives the same.
        return `WebGPU could not be loaded: ${error instanceof Error ? error.message : String(error)}`;
      }
    },
  };
}
