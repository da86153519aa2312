/** A device of an adapter, with all the limits that a model may use. */
import { PronkError } from "../../errors.ts";

/** What gives adapters: `navigator.gpu`, or Dawn's. */
export interface GpuProvider extends Pick<GPU, "requestAdapter"> {
  /** Not in every runtime's types, nor in every runtime. */
  readonly wgslLanguageFeatures?: { has(feature: string): boolean };
}

export interface Gpu {
  readonly device: GPUDevice;
  /** The adapter, for people: vendor, architecture, device, description. */
  readonly name: string;
  /** Computes on the CPU. */
  readonly isSoftware: boolean;
  /** Bytes of a binding of a storage buffer at most. */
  readonly maxBindingBytes: number;
  readonly maxBufferBytes: number;
  /** Its shaders may compute in f16. */
  readonly hasF16: boolean;
  /** Its shaders have products of four bytes at a time. */
  readonly hasInt8: boolean;
  /** Threads of a subgroup, where its shaders may use them and all have one size. */
  readonly subgroupSize: number | undefined;
  /** Why the device is gone; undefined while it is there. */
  readonly lost: string | undefined;
}

export interface GpuOptions {
  /** The limits that every adapter has, no more: bindings of 128 MiB. */
  readonly defaultLimits?: boolean;
}

/** What more of is asked than every adapter has. */
const WANTED_LIMITS = ["maxStorageBufferBindingSize", "maxBufferSize"] as const;

const WANTED_FEATURES: readonly GPUFeatureName[] = ["shader-f16", "subgroups"];

const INT8_FEATURE = "packed_4x8_integer_dot_product";

/** Of adapters that say nothing of being software. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|basic render|\bwarp\b/i;

/** @throws PronkError "unsupported" when there is no adapter or it gives no device. */
export async function openGpu(provider: GpuProvider, options: GpuOptions = {}): Promise<Gpu> {
  const adapter = await provider.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new PronkError("unsupported", "webgpu: there is no adapter");
  const name = adapterName(adapter);
  let device: GPUDevice;
  try {
    device = await requestDevice(adapter, options);
  } catch (cause) {
    throw new PronkError("unsupported", `webgpu: ${name} gives no device: ${String(cause)}`, {
      cause,
    });
  }
  return new OpenGpu(device, name, {
    isSoftware: isSoftware(adapter, name),
    hasInt8: provider.wgslLanguageFeatures?.has(INT8_FEATURE) ?? false,
    subgroupSize: device.features?.has("subgroups") ? oneSubgroupSize(adapter) : undefined,
  });
}

class OpenGpu implements Gpu {
  readonly device: GPUDevice;
  readonly name: string;
  readonly isSoftware: boolean;
  readonly maxBindingBytes: number;
  readonly maxBufferBytes: number;
  readonly hasF16: boolean;
  readonly hasInt8: boolean;
  readonly subgroupSize: number | undefined;
  #lost: string | undefined;

  constructor(
    device: GPUDevice,
    name: string,
    { isSoftware, hasInt8, subgroupSize }: Pick<Gpu, "isSoftware" | "hasInt8" | "subgroupSize">,
  ) {
    this.device = device;
    this.name = name;
    this.isSoftware = isSoftware;
    this.hasInt8 = hasInt8;
    this.subgroupSize = subgroupSize;
    this.hasF16 = device.features?.has("shader-f16") ?? false;
    this.maxBindingBytes = device.limits.maxStorageBufferBindingSize;
    this.maxBufferBytes = device.limits.maxBufferSize;
    void device.lost.then(({ reason, message }) => {
      this.#lost = message || reason || "no reason given";
    });
  }

  get lost(): string | undefined {
    return this.#lost;
  }
}

/** Limits that are refused are done without. */
async function requestDevice(
  adapter: GPUAdapter,
  { defaultLimits = false }: GpuOptions,
): Promise<GPUDevice> {
  // Who has no more than these limits is asked for no more features, either.
  if (defaultLimits) return adapter.requestDevice();
  const requiredLimits = Object.fromEntries(
    WANTED_LIMITS.map((limit) => [limit, adapter.limits[limit]]),
  );
  const requiredFeatures = WANTED_FEATURES.filter((feature) => adapter.features?.has(feature));
  try {
    return await adapter.requestDevice({ requiredLimits, requiredFeatures });
  } catch {
    return adapter.requestDevice();
  }
}

/** undefined where sizes differ, or nothing is said of them. */
function oneSubgroupSize({ info }: GPUAdapter): number | undefined {
  const { subgroupMinSize: least, subgroupMaxSize: most } = info;
  return least === most && least >= 4 ? least : undefined;
}

/** For people: vendor, architecture, device, description. */
export function adapterName({ info }: GPUAdapter): string {
  const parts = [info.vendor, info.architecture, info.device, info.description];
  return parts.filter((part) => part !== "").join("/") || "unnamed adapter";
}

/** Whether it computes on the CPU: by its own word, else by its name. */
export function isSoftware(adapter: GPUAdapter, name: string): boolean {
  const { isFallbackAdapter } = adapter.info as GPUAdapterInfo & { isFallbackAdapter?: boolean };
  return isFallbackAdapter === true || SOFTWARE.test(name);
}
