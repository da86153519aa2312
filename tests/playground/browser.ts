/** Chromium as these tests start it: the machine's own, never a download, and nothing but 127.0.0.1 in reach. */
import type { LaunchOptions } from "playwright-core";

// Plain JavaScript without declarations, so that scripts run unbuilt.
const script = (name: string) =>
  import(new URL(`../../scripts/bench/browser/${name}.mjs`, import.meta.url).href);

/** @param gpu whether pages have WebGPU, by Chromium's driver for CPUs. */
export async function browserOptions({
  gpu = false,
}: {
  readonly gpu?: boolean;
} = {}): Promise<LaunchOptions> {
  const { findChromium, rootFlags } = await script("find-chromium");
  const { FLAGS, GPU_FLAGS } = await script("run-page");
  const flags: string[] = gpu ? GPU_FLAGS : FLAGS;
  return {
    executablePath: findChromium(),
    args: [...flags.filter((flag) => flag !== "--headless"), ...rootFlags()],
    headless: true,
    chromiumSandbox: rootFlags().length === 0,
  };
}
