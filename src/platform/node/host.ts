/** Node as a host. */
import type { Host } from "../host/host.ts";
import { openFile, readFile } from "./files.ts";
import { serve } from "./serve.ts";
import { yieldTask } from "./yield.ts";

export const nodeHost: Host = {
  name: "node",
  version: process.versions.node,
  readFile,
  openFile,
  yieldTask,
  serve,
};
