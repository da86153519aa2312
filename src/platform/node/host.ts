/** Node as a host. */
import type { Host } from "../host/host.ts";
import { openFile, readFile } from "./files.ts";
import { nodeGpu } from "./gpu.ts";
import { createProxyFetch } from "./proxy-fetch.ts";
import { serve } from "./serve.ts";
import { setSimdWidth } from "./simd-width.ts";
import { createThreads } from "./threads.ts";
import { yieldTask } from "./yield.ts";

export const nodeHost: Host = {
  name: "node",
  version: process.versions.node,
  readFile,
  openFile,
  fetch: createProxyFetch(process.env),
  yieldTask,
  serve,
  setSimdWidth,
  gpu: nodeGpu,
  threads: createThreads(new URL("./thread.js", import.meta.url)),
};
