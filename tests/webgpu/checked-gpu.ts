/**
 * The adapter that a test means, and a device of it that really computes: bun-webgpu, for one, gives a null
 * backend that has every feature and computes nothing where its driver cannot be used. Runs anywhere.
 */

import {
  type Gpu,
  type GpuOptions,
  type GpuProvider,
  openGpu,
} from "../../src/backends/webgpu/gpu.ts";
import { BUFFER_USAGE, MAP_MODE_READ } from "../../src/backends/webgpu/gpu-constants.ts";

const CODE = `
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3u) { out[id.x] = id.x * 7u + 3u; }`;
const COMPUTED = [3, 10, 17, 24];

/**
 * @param wanted a part of the adapter's name
 * @throws Error when the adapter is another one, or does not compute
 */
export async function openCheckedGpu(
  provider: GpuProvider,
  wanted: string,
  options: GpuOptions = {},
): Promise<Gpu> {
  const gpu = await openGpu(provider, options);
  if (!gpu.name.toLowerCase().includes(wanted)) {
    throw new Error(`webgpu: the adapter is ${gpu.name}, not ${wanted}`);
  }
  const values = await compute(gpu.device);
  if (values.join() !== COMPUTED.join()) {
    throw new Error(`webgpu: ${gpu.name} computes ${values.join()}, not ${COMPUTED.join()}`);
  }
  gpu.device.addEventListener("uncapturederror", ({ error }) => {
    // Nobody awaits it: what runs the tests has to fail by it.
    queueMicrotask(() => {
      throw new Error(`webgpu: ${gpu.name}: ${error.message}`);
    });
  });
  return gpu;
}

async function compute(device: GPUDevice): Promise<number[]> {
  const module = device.createShaderModule({ code: CODE });
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
  const size = COMPUTED.length * 4;
  const out = device.createBuffer({ size, usage: BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_SRC });
  const copy = device.createBuffer({ size, usage: BUFFER_USAGE.COPY_DST | BUFFER_USAGE.MAP_READ });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const layout = pipeline.getBindGroupLayout(0);
  const entries = [{ binding: 0, resource: { buffer: out } }];
  pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(out, 0, copy, 0, size);
  device.queue.submit([encoder.finish()]);
  await copy.mapAsync(MAP_MODE_READ);
  const values = [...new Uint32Array(copy.getMappedRange())];
  for (const buffer of [out, copy]) buffer.destroy();
  return values;
}
