/** What runs models on a GPU: loaded where there is one, and bundled only with entries that may have one. */
export { createWebgpuRunner } from "../backends/webgpu/webgpu-runner.ts";
export { timeBackends } from "./backend-trial.ts";
export { createGpuRunner } from "./gpu-runner.ts";
export { openHostGpu } from "./open-host-gpu.ts";
