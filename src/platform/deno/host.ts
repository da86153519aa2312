/** Deno as a host. */
import type { Host } from "../host/host.ts";
import { fixedSimdWidth } from "../host/simd-width.ts";
import { webThreads } from "../host/web-threads.ts";
import { webGpu } from "../web-gpu.ts";
import { openFile, readFile } from "./files.ts";
import { serve } from "./serve.ts";
import { yieldTask } from "./yield.ts";

export const denoHost: Host = {
  name: "deno",
  version: Deno.version.deno,
  readFile,
  openFile,
  fetch,
  yieldTask,
  serve,
  gpu: webGpu("no navigator.gpu: deno run --unstable-webgpu has it"),
  threads: webThreads,
  setSimdWidth: fixedSimdWidth("Deno"),
};
