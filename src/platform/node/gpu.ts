/** The GPU of Node: Dawn, which the optional package `webgpu` has. */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import type { GpuPlatform } from "../../engine/gpu-platform.ts";
import { packagedGpu } from "../host/gpu-package.ts";

const PACKAGE = "webgpu";

interface Dawn {
  create(flags: readonly string[]): GPU;
}

export const nodeGpu: GpuPlatform = packagedGpu(find, load, `npm install ${PACKAGE}`);

/** Beside this package, or in NODE_PATH, which import statements do not know. */
function find(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(PACKAGE);
  } catch {
    return undefined;
  }
}

async function load(place: string): Promise<GPU> {
  const { create }: Dawn = await import(pathToFileURL(place).href);
  return create([]);
}
