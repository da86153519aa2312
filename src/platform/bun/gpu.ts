/** The GPU of Bun: Dawn, which the optional package `bun-webgpu` has. */
import { fileURLToPath } from "node:url";
import type { GpuPlatform } from "../../engine/gpu-platform.ts";
import { packagedGpu } from "../host/gpu-package.ts";

const PACKAGE = "bun-webgpu";
const HERE = fileURLToPath(new URL(".", import.meta.url));

interface BunWebgpu {
  createGPUInstance(): GPU;
}

export const bunGpu: GpuPlatform = {
  ...packagedGpu(find, load, `bun add ${PACKAGE}`),
  // 0.1.7 reads a limit that it does not know as 0, and refuses whatever is asked for.
  defaultLimits: true,
};

function find(): string | undefined {
  try {
    return Bun.resolveSync(PACKAGE, HERE);
  } catch {
    return undefined;
  }
}

async function load(place: string): Promise<GPU> {
  const { createGPUInstance }: BunWebgpu = await import(place);
  return createGPUInstance();
}
