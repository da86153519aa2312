/** Whether a GPU's subgroups take the threads of a workgroup in their order: WGSL does not promise it. */
import { Buffers } from "./buffers.ts";
import type { Gpu } from "./gpu.ts";
import { PipelineCache } from "./pipelines.ts";
import { Readback } from "./readback.ts";

/** False where it has none of one size. */
export async function hasOrderedSubgroups({ device, subgroupSize }: Gpu): Promise<boolean> {
  if (subgroupSize === undefined) return false;
  const pipelines = new PipelineCache(device);
  const kernel = pipelines.kernel({
    op: "subgroup_order",
    constants: { SUBGROUP: subgroupSize },
  });
  await pipelines.ready();
  const { pipeline } = kernel;
  const buffers = new Buffers(device);
  try {
    const buffer = buffers.storage(4, "misplaced");
    const layout = pipeline.getBindGroupLayout(0);
    const group = device.createBindGroup({
      layout,
      entries: [{ binding: 0, resource: { buffer } }],
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(1);
    pass.end();
    const landing = new Readback(buffers).encode(encoder, [{ buffer, offset: 0, bytes: 4 }]);
    device.queue.submit([encoder.finish()]);
    const misplaced = new Uint32Array((await landing()).buffer);
    return misplaced[0] === 0;
  } finally {
    buffers.dispose();
  }
}
