/** Bun as a host. */
import type { Host } from "../host/host.ts";
import { fixedSimdWidth } from "../host/simd-width.ts";
import { webThreads } from "../host/web-threads.ts";
import { openFile, readFile } from "./files.ts";
import { bunGpu } from "./gpu.ts";
import { serve } from "./serve.ts";
import { yieldTask } from "./yield.ts";

export const bunHost: Host = {
  name: "bun",
  version: Bun.version,
  readFile,
  openFile,
  fetch,
  yieldTask,
  serve,
  gpu: bunGpu,
  threads: webThreads,
  setSimdWidth: fixedSimdWidth("Bun"),
};
