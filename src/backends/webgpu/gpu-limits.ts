/** What of a device's limits decides how a model lies on it. */
export interface GpuLimits {
  /** Bytes of a binding of a storage buffer at most. */
  readonly maxBindingBytes: number;
}

/** What every adapter has. */
export const DEFAULT_LIMITS: GpuLimits = { maxBindingBytes: 128 * 2 ** 20 };
