/** The GPU of a page or a worker. */
import type { GpuPlatform } from "../../engine/gpu-platform.ts";
import { webGpu } from "../web-gpu.ts";

/** Pages have it where they came over https, or from this machine. */
export function browserGpu(): GpuPlatform | string {
  return webGpu("this browser has no WebGPU, or the page is not in a secure context");
}
