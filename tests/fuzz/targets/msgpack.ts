/** Flax's MessagePack: the tree of names, arrays whole and in chunks, and their values. */
import { readFlax } from "../../../src/formats/msgpack/read-flax.ts";
import { storedTensor } from "../../../src/formats/stored-tensor.ts";
import { stridedTensor } from "../../../src/formats/strided-tensor.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { chunked, map, name, ndarray } from "../../unit/formats/msgpack/flax-writer.ts";
import { bytesOf } from "../../unit/formats/torch/torch-writer.ts";
import { readRows } from "../floats.ts";
import { msgpackLayout } from "../msgpack-layout.ts";
import type { FuzzTarget, Probe } from "../target.ts";

const data = (bytes: number): Uint8Array => new Uint8Array(bytes).map((_, i) => i * 73);

const SEEDS = [
  map({
    model: map({
      embed_tokens: map({ embedding: ndarray([3, 2], data(24)) }),
      layers: map({
        "0": map({ q_proj: map({ kernel: ndarray([2, 4], data(16), { dtype: "bfloat16" }) }) }),
        "1": map({ norm: map({ weight: ndarray([5], data(10), { dtype: "float16" }) }) }),
      }),
    }),
    lm_head: map({ kernel: ndarray([2, 3], data(24)), bias: ndarray([3], data(12)) }),
  }),
  map({
    big: map({ kernel: chunked([4, 3], [ndarray([6], data(24)), ndarray([6], data(24))]) }),
    scalar: ndarray([], data(4)),
  }),
  // Short forms, as other writers have them.
  [0x81, 0xa1, "a", 0xc7, 17, 1, 0x93, 0x91, 1, 0xa7, "float32", 0xc4, 4, data(4)],
  [0x81, name("a"), 0x82, name("b"), ndarray([1], data(4)), name("c"), ndarray([1, 1, 1], data(4))],
];

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  if (input.length > 1 && ((input[0]! & 0xf0) === 0x80 || input[0] === 0xde || input[0] === 0xdf)) {
    probe.pastHeader();
  }
  const arrays = await readFlax(memorySource(input, "fuzz.msgpack"));
  probe.saw(`${arrays.size} arrays`);
  for (const [path, { type, shape, source, start }] of arrays) {
    probe.saw(`${type} ${shape.length} ${shape.includes(0)} ${source.name}`);
    await readRows(storedTensor(path, type, shape, source, start));
    // A kernel is the transpose of the weight.
    const [inputs, outputs] = shape;
    if (shape.length !== 2) continue;
    const strides = [1, outputs!];
    await readRows(
      stridedTensor({ name: path, type, shape: [outputs!, inputs!], strides, source, start }),
    );
  }
}

export const target: FuzzTarget = {
  seeds: () => SEEDS.map((code) => bytesOf(code)),
  layout: msgpackLayout,
  words: [
    "float32",
    "float16",
    "bfloat16",
    "int8",
    "kernel",
    "bias",
    "0",
    "1",
    "shape",
    "chunks",
    "__msgpack_chunked_array__",
    "constructor",
  ],
  run,
  planted: {
    name: "arrays may have fewer bytes than their shape",
    file: "src/formats/msgpack/read-flax.ts",
    find: "if (bytes !== expected) {",
    replace: "if (bytes > expected) {",
  },
};
