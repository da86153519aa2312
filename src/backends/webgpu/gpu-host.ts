/** What gives GPUs. An entry injects it: the core asks for no global. */
import type { GpuProvider } from "./gpu.ts";

export interface GpuHost {
  /**
   * What gives adapters, `navigator.gpu` or another's, or why there is none, for people. What a runtime has to load for
   * it is loaded by the first call; each later one gives the same.
   */
  open(): Promise<GpuProvider | string>;
  /** Devices take no limits but the default ones: a request for others fails, whatever the adapter says. */
  readonly defaultLimits?: boolean;
}
