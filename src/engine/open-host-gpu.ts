/** The GPU that an entry gives, with what it cannot be used for refused. */
import {
  adapterName,
  type Gpu,
  type GpuProvider,
  isSoftware,
  openGpu,
} from "../backends/webgpu/gpu.ts";
import type { GpuHost } from "../backends/webgpu/gpu-host.ts";
import { PronkError } from "../errors.ts";

/** Bun's hands it out where no driver can be used: it says yes to everything and computes nothing. */
const NULL_BACKEND = /null[- ]backend/i;

export interface HostGpuOptions {
  /** Without it an adapter that computes on the CPU is refused. */
  readonly software: boolean;
}

/**
 * A device of its own; who opens it destroys it.
 *
 * @throws PronkError "unsupported": there is no such GPU, or it gives no device.
 */
export async function openHostGpu(host: GpuHost, { software }: HostGpuOptions): Promise<Gpu> {
  const provider = await host.open();
  if (typeof provider === "string") throw none(provider);
  const { defaultLimits } = host;
  const { wgslLanguageFeatures } = provider;
  const judged: GpuProvider = {
    ...(wgslLanguageFeatures && { wgslLanguageFeatures }),
    async requestAdapter(options) {
      const adapter = await provider.requestAdapter(options);
      if (adapter === null) throw none("no driver of this machine gives an adapter");
      const name = adapterName(adapter);
      if (NULL_BACKEND.test(name)) {
        throw none(`${name} computes nothing: no driver of this machine can be used`);
      }
      if (!software && isSoftware(adapter, name)) throw none(`${name} is a software adapter`);
      return adapter;
    },
  };
  return openGpu(judged, defaultLimits === undefined ? {} : { defaultLimits });
}

function none(why: string): PronkError {
  return new PronkError("unsupported", `webgpu: ${why}`);
}
