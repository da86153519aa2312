/** PyTorch's files, zip archives and the older form: the pickle is read, and each tensor's rows. */
import { readTorch } from "../../../src/formats/torch/read-torch.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { readAll } from "../../../src/sources/source.ts";
import {
  call,
  dict,
  f32,
  int,
  pickle,
  tensor,
  text,
  torchLegacy,
  torchState,
  torchZip,
  tuple,
} from "../../unit/formats/torch/torch-writer.ts";
import { readRows } from "../floats.ts";
import type { FuzzTarget, Probe } from "../target.ts";
import { torchLayout } from "../torch-layout.ts";

const shared = dict(
  [text("a.weight"), tensor({ elements: 6, shape: [2, 3], strides: [3, 1] })],
  [text("a.transposed"), tensor({ elements: 6, shape: [3, 2], strides: [1, 3] })],
  [text("a.part"), tensor({ elements: 6, shape: [2, 1], strides: [3, 1], offset: int(2) })],
  [text("empty"), tensor({ key: "1", elements: 2, shape: [0, 4], strides: [4, 1] })],
);

async function seeds(): Promise<Uint8Array[]> {
  const storages = { "0": f32(1, 2, 3, 4, 5, 6), "1": f32(7, 8) };
  const halves = new Uint8Array(12).map((_, i) => i * 31);
  const state = torchState(
    new Map([
      ["model.norm.weight", { type: "HalfStorage", shape: [6], bytes: halves }],
      ["b.weight", { type: "BFloat16Storage", shape: [3, 2], bytes: halves }],
    ]),
    (inner) => dict([text("model"), inner], [text("step"), int(7)]),
  );
  const view = tuple(text("0"), int(1), int(4));
  const old = pickle(call("collections", "OrderedDict"), [
    "(",
    text("w"),
    tensor({ elements: 6, view, shape: [2, 2], strides: [2, 1] }),
    "u",
  ]);
  return [
    await readAll(torchZip(pickle(shared), storages)),
    state,
    await readAll(torchLegacy(old, [["0", 6, f32(1, 2, 3, 4, 5, 6)]])),
  ];
}

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  const start = [...input.subarray(0, 4)].join();
  if (input.length > 22 && (start === "80,75,3,4" || input[0] === 0x80)) probe.pastHeader();
  const states = await readTorch(memorySource(input, "fuzz.pth"));
  for (const [name, state] of states) {
    probe.saw(`${state.storageType} ${state.shape.length} ${state.shape.includes(0)}`);
    await readRows(state.open(name));
  }
}

export const target: FuzzTarget = {
  seeds,
  layout: torchLayout,
  words: [
    "torch",
    "FloatStorage",
    "HalfStorage",
    "LongStorage",
    "storage",
    "cpu",
    "0",
    "1",
    "_rebuild_tensor_v2",
    "_rebuild_parameter",
    "torch._utils",
    "collections",
    "OrderedDict",
    "os",
    "system",
    "m/data.pkl",
    "m/data/0",
    "m/data/1",
    "m/byteorder",
    "model",
    "state_dict",
  ],
  run,
  planted: {
    name: "tensors may end behind their storage",
    file: "src/formats/torch/globals.ts",
    find: "if (end > count) {",
    replace: "if (end > count + 4096) {",
  },
};
