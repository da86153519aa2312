// Forms of one model, in memory and ready to run.
import { selectKernel } from "../../../dist/src/backends/wasm/kernel-variants.js";
import { planMemory } from "../../../dist/src/backends/wasm/memory-layout.js";
import { createWasmRunner } from "../../../dist/src/backends/wasm/wasm-runner.js";
import { openGguf } from "../../../dist/src/engine/open-gguf.js";
import { dequantize } from "../../../dist/src/formats/gguf/dequantize.js";
import { planLlama } from "../../../dist/src/model/plan.js";
import { formFor } from "../../../dist/src/pack/form-choice.js";
import { planImage } from "../../../dist/src/pack/image-plan.js";
import { packRows } from "../../../dist/src/pack/pack-rows.js";
import { packTensors } from "../../../dist/src/pack/packer.js";
import { loadKernels } from "../../../dist/src/platform/host/kernels.js";
import { nodeHost } from "../../../dist/src/platform/node/host.js";
import { fileSource } from "../../../dist/src/sources/file.js";
import { CHUNK, WINDOW } from "./compare.mjs";

/** Of an isolate: what the memory of a form is told for. */
export const PLAN_CTX = 1024;

export const kernel = selectKernel(await loadKernels(nodeHost, nodeHost.setSimdWidth("auto")), {
  now: () => performance.now(),
});

/** The file as a source; it stays open to the end of the process. */
export async function openSource(path) {
  const file = await nodeHost.openFile(path);
  return fileSource(file, path.split("/").at(-1), file.size);
}

/** Entries and configuration of the file in a form. */
export function openForm(source, { quantization, profile }) {
  return openGguf([source], { quantization, profile });
}

/** Entries of float weights in the forms that `quantization` gives them. */
export function formed(floats, quantization) {
  return floats.map((entry) => {
    const { type, shape } = entry.tensor;
    const role = entry.name.includes("embed_tokens") ? "embedding" : "matrix";
    const options = { quantization, profile: "default", role };
    return { ...entry, form: shape.length === 1 ? "vector" : formFor(type, shape[1], options) };
  });
}

/** A runner with these entries in its memory; `fill` puts them there in another way. */
export async function createRunner(config, entries, kv, { fill = packInto, ...more } = {}) {
  const { tensors, weightBytes } = planImage(entries);
  const sizes = { ctx: WINDOW, slots: 1, maxRows: CHUNK, maxLogits: CHUNK, kv, ...more };
  const runner = createWasmRunner(planLlama(config), tensors, weightBytes, kernel, sizes);
  const start = process.cpuUsage().user;
  await fill(entries, runner.weights);
  return { runner, packSeconds: (process.cpuUsage().user - start) / 1e6 };
}

/** Bytes of the weights, and of the whole plan of one sequence of PLAN_CTX positions. */
export function memoryOf(config, entries, kv) {
  const { tensors, weightBytes } = planImage(entries);
  const sizes = { ctx: PLAN_CTX, slots: 1, maxRows: CHUNK, maxLogits: 1, kv };
  const { weights, total } = planMemory(planLlama(config), tensors, weightBytes, sizes).use;
  return { weights, total };
}

async function packInto(entries, image) {
  await packTensors(entries, (offset, bytes) => image.set(bytes, offset));
}

/** As packTensors, but rounding to nearest where it would search: what the search is compared with. */
export async function packNearest(entries, image) {
  const { tensors } = planImage(entries);
  for (const [i, { form, tensor }] of entries.entries()) {
    const bytes = new Uint8Array(tensor.bytes);
    await tensor.source.readInto(bytes, tensor.start);
    const values = new Float32Array(tensor.shape.reduce((a, b) => a * b, 1));
    dequantize(tensor.type, bytes, values);
    const packed =
      form === "vector" ? new Uint8Array(values.buffer) : packRows(form, values, ...tensor.shape);
    image.set(packed, tensors[i].offset);
  }
}
