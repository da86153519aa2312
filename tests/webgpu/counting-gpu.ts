/** A GPU that does what it does, and counts what it is told. */
import type { Gpu } from "../../src/backends/webgpu/gpu.ts";
import { BUFFER_USAGE } from "../../src/backends/webgpu/gpu-constants.ts";

export interface GpuCounts {
  dispatches: number;
  /** Writes from JavaScript, of whatever size. */
  writes: number;
  submits: number;
  /** Copied to where JavaScript reads them. */
  readBytes: number;
  /** From the making of a submit's encoder to its submission, each. */
  encodeMs: number[];
}

export interface CountingGpu {
  readonly gpu: Gpu;
  readonly counts: GpuCounts;
  reset(): void;
}

type Hooks = Readonly<Record<string, (call: (...args: never[]) => unknown) => unknown>>;

/** With other values for some properties; methods are called on the object itself. */
function hooked<Target extends object>(target: Target, hooks: Hooks): Target {
  return new Proxy(target, {
    get(_, name) {
      const value = Reflect.get(target, name, target);
      const own = typeof value === "function" ? value.bind(target) : value;
      const hook = typeof name === "string" && Object.hasOwn(hooks, name) && hooks[name];
      return hook ? hook(own) : own;
    },
  });
}

/** @param isTimed times encoders, and counts nothing that is done with them: counting takes time. */
export function countingGpu(gpu: Gpu, isTimed = false): CountingGpu {
  const counts: GpuCounts = { dispatches: 0, writes: 0, submits: 0, readBytes: 0, encodeMs: [] };
  let started = 0;
  const pass = (made: GPUComputePassEncoder): GPUComputePassEncoder =>
    hooked(made, {
      dispatchWorkgroups: (call) => (x: number, y: number) => {
        counts.dispatches++;
        return call(...([x, y] as never[]));
      },
    });
  const encoder = (made: GPUCommandEncoder): GPUCommandEncoder =>
    hooked(made, {
      beginComputePass: (call) => () => pass(call() as GPUComputePassEncoder),
      copyBufferToBuffer:
        (call) =>
        (...args: unknown[]) => {
          const [, , to, , bytes] = args as [unknown, unknown, GPUBuffer, unknown, number];
          if (to.usage & BUFFER_USAGE.MAP_READ) counts.readBytes += bytes;
          return call(...(args as never[]));
        },
    });
  const queue = hooked(gpu.device.queue, {
    writeBuffer:
      (call) =>
      (...args: unknown[]) => {
        counts.writes++;
        return call(...(args as never[]));
      },
    submit:
      (call) =>
      (...args: unknown[]) => {
        counts.submits++;
        counts.encodeMs.push(performance.now() - started);
        return call(...(args as never[]));
      },
  });
  const device = hooked(gpu.device, {
    queue: () => queue,
    createCommandEncoder: (call) => () => {
      started = performance.now();
      const made = call() as GPUCommandEncoder;
      return isTimed ? made : encoder(made);
    },
  });
  return {
    gpu: hooked(gpu, { device: () => device }),
    counts,
    reset() {
      Object.assign(counts, { dispatches: 0, writes: 0, submits: 0, readBytes: 0, encodeMs: [] });
    },
  };
}
