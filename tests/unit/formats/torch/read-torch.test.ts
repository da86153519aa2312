import { describe, expect, test } from "vitest";
import { readTorch } from "../../../../src/formats/torch/read-torch.ts";
import { memorySource } from "../../../../src/sources/memory.ts";
import type { ByteSource } from "../../../../src/sources/source.ts";
import {
  bytesOf,
  type Code,
  call,
  dict,
  f32,
  int,
  pickle,
  tensor,
  text,
  torchLegacy,
  torchZip,
  tuple,
  zip,
} from "./torch-writer.ts";

const matrix = tensor({ elements: 6, shape: [2, 3], strides: [3, 1] });
const six = f32(1, 2, 3, 4, 5, 6);

test("rows without elements are read from nowhere, whatever their strides", async () => {
  const none = tensor({ elements: 6, shape: [3, 0], strides: [4096, 1] });
  expect(await values(torchZip(pickle(dict(text("w"), none)), { 0: six }), "w")).toEqual([]);
});

async function values(source: ByteSource, key: string): Promise<number[]> {
  const found = (await readTorch(source)).get(key)!.open(key);
  const bytes = new Uint8Array(found.shape.reduce((product, dim) => product * dim, 4));
  await found.readRows(0, found.shape[0] ?? 1, bytes);
  return [...new Float32Array(bytes.buffer)];
}

describe("reads a tensor", () => {
  const ordered = [call("collections", "OrderedDict"), "(", text("w"), matrix, "u"];
  const metadata = [ordered, dict(text("_metadata"), call("collections", "OrderedDict")), "b"];
  const parameter = [
    call("torch._utils", "_rebuild_parameter", matrix, [0x88], call("collections", "OrderedDict")),
  ];
  // Protocol 4: frame, short strings, memoized globals from the stack.
  const protocol4 = bytesOf(
    [0x80, 4, 0x95, [9, 0, 0, 0, 0, 0, 0, 0], "}", 0x94, 0x8c, 1, "w", 0x94],
    [0x8c, 12, "torch._utils", 0x8c, 18, "_rebuild_tensor_v2", 0x93, "("],
    ["(", text("storage"), 0x8c, 5, "torch", 0x8c, 12, "FloatStorage", 0x93, text("0")],
    [text("cpu"), "K", 6, "tQ", "K", 0, "K", 2, "K", 3, 0x86, "K", 3, "K", 1, 0x86, "N"],
    [call("collections", "OrderedDict"), "tRs."],
  );

  test.each<[string, ByteSource]>([
    ["of a dict", torchZip(pickle(dict(text("w"), matrix)), { 0: six })],
    ["of a module's state dict, with its metadata", torchZip(pickle(metadata), { 0: six })],
    [
      "of Python 2's OrderedDict",
      torchZip(
        pickle([call("collections", "OrderedDict", ["](", ["](U", 1, "w", matrix, "e"], "e"])]),
        { 0: six },
      ),
    ],
    [
      "under model",
      torchZip(pickle(dict(text("model"), ordered, text("step"), int(3))), { 0: six }),
    ],
    ["that is a parameter", torchZip(pickle(dict(text("w"), parameter)), { 0: six })],
    ["of protocol 4", torchZip(protocol4, { 0: six })],
    [
      "of a zip64 archive",
      memorySource(
        zip(
          [
            { name: "m/data.pkl", bytes: pickle(dict(text("w"), matrix)) },
            { name: "m/data/0", bytes: six },
            { name: "m/byteorder", bytes: bytesOf("little") },
          ],
          true,
        ),
        "m.pth",
      ),
    ],
    ["of a legacy file", torchLegacy(pickle(dict(text("w"), matrix)), [["0", 6, six]])],
    [
      "that is a legacy file's view",
      torchLegacy(
        pickle(
          dict(
            text("w"),
            tensor({
              elements: 9,
              view: tuple(text("v"), int(2), int(6)),
              shape: [2, 3],
              strides: [3, 1],
            }),
          ),
        ),
        [["0", 9, f32(8, 9, 1, 2, 3, 4, 5, 6, 7)]],
      ),
    ],
    [
      "with an offset",
      torchZip(
        pickle(
          dict(text("w"), tensor({ elements: 8, offset: int(2), shape: [2, 3], strides: [3, 1] })),
        ),
        { 0: f32(8, 9, 1, 2, 3, 4, 5, 6) },
      ),
    ],
    [
      "of wider rows",
      torchZip(pickle(dict(text("w"), tensor({ elements: 8, shape: [2, 3], strides: [5, 1] }))), {
        0: f32(1, 2, 3, 0, 0, 4, 5, 6),
      }),
    ],
    [
      "that is transposed",
      torchZip(pickle(dict(text("w"), tensor({ elements: 6, shape: [2, 3], strides: [1, 2] }))), {
        0: f32(1, 4, 2, 5, 3, 6),
      }),
    ],
  ])("%s", async (_, source) => {
    expect(await values(source, "w")).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("without dimensions, and one whose strides of 1 say nothing", async () => {
    const scalar = tensor({ elements: 6, offset: int(4), shape: [], strides: [] });
    const flat = tensor({ elements: 6, shape: [1, 6, 1], strides: [77, 1, 99] });
    const source = torchZip(pickle(dict(text("s"), scalar, text("f"), flat)), { 0: six });
    expect(await values(source, "s")).toEqual([5]);
    expect(await values(source, "f")).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("of another type only by name: it is not opened", async () => {
    const longs = tensor({ type: "LongStorage", elements: 1, shape: [1], strides: [1] });
    const state = await readTorch(
      torchZip(pickle(dict(text("ids"), longs)), { 0: new Uint8Array(8) }),
    );
    expect(state.get("ids")).toMatchObject({ storageType: "LongStorage", shape: [1] });
    expect(() => state.get("ids")!.open("ids")).toThrow(/tensor ids: torch.LongStorage holds no/);
  });
});

test("a legacy file's pickles may be longer than the first window", async () => {
  const names = Array.from({ length: 9_000 }, (_, i) => [text(`layer.number.${i}`), matrix]);
  const data = pickle(dict(...names.map((pair): Code => pair)));
  expect(data.length).toBeGreaterThan(500_000);
  const source = torchLegacy(data, [["0", 6, six]]);
  expect((await readTorch(source)).size).toBe(9_000);
});

test("tensors with strides that overlap or jump are refused by name", async () => {
  for (const [shape, strides] of [
    [
      [3, 2],
      [0, 1],
    ],
    [
      [2, 2, 1, 2],
      [1, 2, 2, 1],
    ],
    [
      [4, 2],
      [1, 1],
    ],
  ]) {
    const odd = tensor({ elements: 6, shape, strides });
    const state = await readTorch(torchZip(pickle(dict(text("odd"), odd)), { 0: six }));
    expect(() => state.get("odd")!.open("odd")).toThrow(
      `tensor odd: [${shape}] with strides [${strides}]`,
    );
  }
});
