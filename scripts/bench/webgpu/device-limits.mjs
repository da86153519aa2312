// What bounds a GPU's decoding: the bandwidth of a kernel that copies, and the time of a dispatch that does nothing.

const STORAGE = 0x80;
const WORKGROUP = 256;
/** Workgroups of a dispatch; each thread copies more than once. */
const GROUPS = 4096;

const COPY = `
@group(0) @binding(0) var<storage, read> source: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4u>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&source); i += groups.x * ${WORKGROUP}u) { copied[i] = source[i]; }
}`;

/** It writes a word, so that each waits for the one before, as those of a model do. */
const EMPTY = `
@group(0) @binding(0) var<storage, read_write> count: array<u32>;
@compute @workgroup_size(1) fn main() { count[0] = count[0] + 1u; }`;

/**
 * @param size `bytes` of each of the two buffers, `copies` and `dispatches` of a submit, `reps` of which the best counts
 * @returns `bandwidth` in bytes a second, read and written; `dispatch_ms`
 */
export async function measureLimits(device, { bytes, copies, dispatches, reps }) {
  device.pushErrorScope("validation");
  const [from, to] = [bytes, bytes].map((size) => device.createBuffer({ size, usage: STORAGE }));
  const copy = program(device, COPY, [from, to]);
  const empty = program(device, EMPTY, [to]);
  const wrong = await device.popErrorScope();
  if (wrong) throw new Error(wrong.message);
  const best = async (run, count, groups) => {
    let ms = Number.POSITIVE_INFINITY;
    for (let rep = 0; rep <= reps; rep++) {
      const started = performance.now();
      await submit(device, run, count, groups);
      const took = performance.now() - started;
      // The first one compiles.
      if (rep > 0) ms = Math.min(ms, took);
    }
    return ms;
  };
  // Less what a submit takes with a single one of them.
  const single = await best(empty, 1, 1);
  const copying = await best(copy, copies, GROUPS);
  const waiting = await best(empty, dispatches, 1);
  for (const buffer of [from, to]) buffer.destroy();
  return {
    bandwidth: (2 * bytes * copies) / ((copying - single) / 1000),
    dispatch_ms: (waiting - single) / (dispatches - 1),
    submit_ms: single,
  };
}

function program(device, code, buffers) {
  const module = device.createShaderModule({ code });
  const compute = { module, entryPoint: "main" };
  const pipeline = device.createComputePipeline({ layout: "auto", compute });
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  return { pipeline, group };
}

async function submit(device, { pipeline, group }, count, groups) {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  for (let i = 0; i < count; i++) pass.dispatchWorkgroups(groups);
  pass.end();
  device.queue.submit([encoder.finish()]);
  await device.queue.onSubmittedWorkDone();
}

/** Counts what goes to the device from now on: dispatches, submits, bytes written and read back. */
export function countCommands(device) {
  const counts = { dispatches: 0, submits: 0, uploaded: 0 };
  const wrap = (object, name, count) => {
    const own = object[name].bind(object);
    object[name] = (...args) => count(own(...args), args);
  };
  wrap(device, "createCommandEncoder", (encoder) => {
    wrap(encoder, "beginComputePass", (pass) => {
      for (const name of ["dispatchWorkgroups", "dispatchWorkgroupsIndirect"]) {
        wrap(pass, name, (result) => {
          counts.dispatches++;
          return result;
        });
      }
      return pass;
    });
    return encoder;
  });
  const { queue } = device;
  wrap(queue, "submit", (result) => {
    counts.submits++;
    return result;
  });
  wrap(queue, "writeBuffer", (result, [, , data, from = 0, size]) => {
    counts.uploaded += size ?? data.byteLength - from;
    return result;
  });
  return counts;
}
