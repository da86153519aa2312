/** Pickles that attack: each is refused with the reason, in bounded time and memory. */
import { describe, expect, test } from "vitest";
import { memorySource } from "../../../../src/sources/memory.ts";
import type { ByteSource } from "../../../../src/sources/source.ts";
import { refusal } from "./refusal.ts";
import {
  bytesOf,
  call,
  dict,
  f32,
  global,
  int,
  pickle,
  repeat,
  tensor,
  text,
  torchLegacy,
  torchZip,
  tuple,
} from "./torch-writer.ts";

const matrix = tensor({ elements: 6, shape: [2, 3], strides: [3, 1] });
const six = f32(1, 2, 3, 4, 5, 6);
/** Pickles, whichever form they come in. */
const PICKLES: [string, Uint8Array, string, string][] = [
  [
    "calls os.system",
    pickle(call("os", "system", text("id"))),
    "unsupported",
    "asks for os.system",
  ],
  [
    "calls posix.system",
    pickle(call("posix", "system", text("id"))),
    "unsupported",
    "posix.system",
  ],
  [
    "names eval, and does not call it",
    pickle(global("builtins", "eval")),
    "unsupported",
    "builtins.eval",
  ],
  ["names getattr", pickle(global("builtins", "getattr")), "unsupported", "builtins.getattr"],
  ["reaches into an allowed module", pickle(global("torch", "load")), "unsupported", "torch.load"],
  [
    "asks for a dotted name",
    pickle(global("torch", "Size.__init__.__globals__")),
    "unsupported",
    "__globals__",
  ],
  [
    "asks for a name of the table's own object",
    pickle(global("constructor", "prototype")),
    "unsupported",
    "constructor.prototype",
  ],
  [
    "names os.system on the stack",
    pickle(text("os"), text("system"), 0x93),
    "unsupported",
    "os.system",
  ],
  [
    "has a global that is no text on the stack",
    pickle(int(1), text("system"), 0x93),
    "bad_format",
    "STACK_GLOBAL",
  ],
  [
    "makes an object by INST",
    pickle("(", text("id"), "ios\nsystem\n"),
    "unsupported",
    "INST makes an object of os.system",
  ],
  [
    "makes an object by OBJ",
    pickle("(", global("collections", "OrderedDict"), "o"),
    "unsupported",
    "OBJ makes an object of collections.OrderedDict",
  ],
  [
    "makes an object of subprocess by OBJ",
    pickle("(", global("subprocess", "Popen"), text("id"), "o"),
    "unsupported",
    "subprocess.Popen",
  ],
  [
    "makes an object by NEWOBJ",
    pickle(global("torch", "FloatStorage"), ")", 0x81),
    "unsupported",
    "NEWOBJ makes an object of torch.FloatStorage",
  ],
  [
    "makes an object by NEWOBJ_EX",
    pickle(global("torch", "FloatStorage"), ")}", 0x92),
    "unsupported",
    "NEWOBJ_EX",
  ],
  [
    "calls a type that is a name here",
    pickle(call("torch", "FloatStorage", int(9))),
    "unsupported",
    "calls torch.FloatStorage",
  ],
  [
    "calls a string",
    pickle(text("os.system"), ")R"),
    "unsupported",
    "calls a value of type string",
  ],
  [
    "calls with what is no tuple",
    pickle(global("collections", "OrderedDict"), "]R"),
    "bad_format",
    "REDUCE without arguments",
  ],
  [
    "sets the state of a dict",
    pickle(call("collections", "OrderedDict"), dict(text("__setstate__"), int(1)), "b"),
    "unsupported",
    "BUILD",
  ],
  [
    "sets the state of a tensor",
    pickle(matrix, dict(text("_metadata"), int(1)), "b"),
    "unsupported",
    "BUILD",
  ],
  [
    "sets state that is no dict",
    pickle(call("collections", "OrderedDict"), tuple(int(1), int(2)), "b"),
    "unsupported",
    "BUILD",
  ],
  [
    "asks for a whole module",
    pickle(tuple(text("module"), int(1)), "Q"),
    "unsupported",
    "persistent id of a module",
  ],
  ["asks for an extension", pickle(0x82, 1), "unsupported", "EXT1"],
  ["asks for a buffer from outside", pickle(0x97), "unsupported", "NEXT_BUFFER"],
  ["has text opcodes", pickle("I1\n"), "unsupported", "INT"],
  ["has an unknown opcode", pickle(0xff), "unsupported", "opcode 0xff"],
  ["is of a protocol of the future", bytesOf(0x80, 9, "N."), "unsupported", "protocol 9"],
  [
    "has a huge integer",
    pickle(0x8b, [0xff, 0xff, 0xff, 0x7f]),
    "bad_format",
    "an integer of 2147483647 bytes",
  ],
  [
    "has an integer of negative length",
    pickle(0x8b, [0xff, 0xff, 0xff, 0xff]),
    "bad_format",
    "an integer of -1 bytes",
  ],
  [
    "has an integer of 255 bytes",
    pickle(0x8a, 0xff, repeat(1, 255)),
    "bad_format",
    "an integer of 255 bytes",
  ],
  [
    "has a string of 4 GB",
    pickle("X", [0xff, 0xff, 0xff, 0xff]),
    "bad_format",
    "ends within 4294967295 bytes",
  ],
  [
    "has a string of 2^63 bytes",
    pickle(0x8d, [0, 0, 0, 0, 0, 0, 0, 0x80]),
    "bad_format",
    "ends within",
  ],
  ["has bytes that are no UTF-8", pickle("X", [1, 0, 0, 0, 0xff]), "bad_format", "not UTF-8"],
  [
    "has a name without an end",
    pickle("c", repeat("a", 1000)),
    "bad_format",
    "a name without an end",
  ],
  ["uses a memo that is not set", pickle("h", 7), "bad_format", "memo 7 is not set"],
  ["takes from an empty stack", pickle("R"), "bad_format", "the stack is empty"],
  ["takes from below a mark", pickle("N(s"), "bad_format", "the stack is empty"],
  ["drops from below a mark", pickle("NN(0"), "bad_format", "the stack is empty"],
  [
    "nests lists that were seen before, each one deeper",
    pickle(
      Array.from({ length: 60 }, (_, i) => ["]q", i, "0"]),
      Array.from({ length: 59 }, (_, i) => ["h", i, "h", i + 1, "a0"]),
      "](",
      Array.from({ length: 60 }, (_, i) => ["h", 59 - i]),
      "e",
    ),
    "bad_format",
    "nest deeper than 32",
  ],
  ["closes what is not open", pickle("t"), "bad_format", "no MARK"],
  ["leaves values behind", pickle("NN"), "bad_format", "values left"],
  ["has a dict as a key", pickle("}}Ns"), "unsupported", "a dict's key is a dict"],
  ["has a key without a value", pickle("}(Nu"), "bad_format", "without a value"],
  ["appends to a dict", pickle("}Na"), "bad_format", "APPEND"],
  ["sets items of a list", pickle("]NNs"), "bad_format", "SETITEM"],
  ["has a list that holds itself", pickle("]q", 0, "h", 0, "a"), "bad_format", "holds itself"],
  [
    "has a dict that holds itself, around corners",
    pickle("}q", 0, text("a"), "]q", 1, "h", 0, "as"),
    "bad_format",
    "holds itself",
  ],
  ["opens too many tuples", pickle(repeat("(", 1_000_000)), "bad_format", "more than 64 levels"],
  ["nests 100,000 tuples", pickle("N", repeat(0x85, 100_000)), "bad_format", "nest deeper than 32"],
  [
    "nests lists through the memo, out of order",
    pickle(
      Array.from({ length: 60 }, (_, i) => ["]q", i, "0"]),
      Array.from({ length: 59 }, (_, i) => ["h", i, "h", i + 1, "a0"]),
      "h",
      0,
    ),
    "bad_format",
    "nest deeper than 32",
  ],
  [
    "makes too many lists",
    pickle(repeat("]0", 1_000_000)),
    "bad_format",
    "more than 500000 operations",
  ],
  [
    "keeps too many dicts in the memo",
    pickle(repeat(["}", 0x94], 500_000)),
    "bad_format",
    "more than 500000 operations",
  ],
  [
    "holds a number under a tensor's name",
    pickle(dict(text("w"), matrix, text("x"), int(1))),
    "bad_format",
    "x: not a tensor",
  ],
  [
    "names tensors by numbers",
    pickle(dict(int(1), matrix)),
    "bad_format",
    "a key that is no string",
  ],
  [
    "has a negative offset",
    pickle(dict(text("w"), tensor({ elements: 6, offset: int(-1), shape: [2], strides: [1] }))),
    "bad_format",
    "a tensor's offset is -1",
  ],
  [
    "has a negative stride",
    pickle(dict(text("w"), tensor({ elements: 6, shape: [2], strides: [-1] }))),
    "bad_format",
    "a tensor's stride is -1",
  ],
  [
    "has a negative size",
    pickle(dict(text("w"), tensor({ elements: 6, shape: [-2], strides: [1] }))),
    "bad_format",
    "a tensor's size is -2",
  ],
  [
    "has more strides than sizes",
    pickle(dict(text("w"), tensor({ elements: 6, shape: [2], strides: [1, 1] }))),
    "bad_format",
    "[2] with strides [1,1]",
  ],
  [
    "has 9 dimensions",
    pickle(
      dict(text("w"), tensor({ elements: 6, shape: Array(9).fill(1), strides: Array(9).fill(1) })),
    ),
    "bad_format",
    "9 dimensions",
  ],
  [
    "has a tensor beyond its storage",
    pickle(
      dict(text("w"), tensor({ elements: 6, offset: int(1), shape: [2, 3], strides: [3, 1] })),
    ),
    "bad_format",
    "storage 0 has 6",
  ],
  [
    "has strides beyond its storage",
    pickle(dict(text("w"), tensor({ elements: 6, shape: [2, 3], strides: [4, 1] }))),
    "bad_format",
    "storage 0 has 6",
  ],
  [
    "has a view beyond its storage",
    pickle(
      dict(
        text("w"),
        tensor({ elements: 6, view: tuple(text("v"), int(3), int(4)), shape: [4], strides: [1] }),
      ),
    ),
    "bad_format",
    "a view of 4 from 3",
  ],
  [
    "has a storage of 2^62 elements",
    pickle(
      dict(text("w"), tensor({ elements: 0, shape: [0], strides: [1] }), text("x"), [
        "(",
        text("storage"),
        global("torch", "FloatStorage"),
        text("9"),
        text("cpu"),
        0x8a,
        8,
        [0, 0, 0, 0, 0, 0, 0, 0x40],
        "tQ",
      ]),
    ),
    "bad_format",
    "storage 9: its length",
  ],
  [
    "has one storage in two sizes",
    pickle(dict(text("w"), matrix, text("x"), tensor({ elements: 7, shape: [7], strides: [1] }))),
    "bad_format",
    "6 of FloatStorage, and 7",
  ],
  [
    "has one storage in two types",
    pickle(
      dict(
        text("w"),
        matrix,
        text("x"),
        tensor({ type: "HalfStorage", elements: 6, shape: [6], strides: [1] }),
      ),
    ),
    "bad_format",
    "HalfStorage",
  ],
  [
    "has a tensor of a number",
    pickle(call("torch._utils", "_rebuild_tensor_v2", int(1), int(0), tuple(), tuple())),
    "bad_format",
    "a tensor without a storage",
  ],
  [
    "has a parameter of a number",
    pickle(call("torch._utils", "_rebuild_parameter", int(1))),
    "bad_format",
    "a parameter without a tensor",
  ],
  [
    "asks for float8",
    pickle(global("torch", "float8_e4m3fn")),
    "unsupported",
    "torch.float8_e4m3fn",
  ],
];

describe("a pickle in a zip archive", () => {
  test.each<[string, Uint8Array, string, string]>([
    ...PICKLES,
    ["is empty", new Uint8Array(0), "bad_format", "ends within 1 bytes"],
    ["holds a list", pickle("]"), "bad_format", "holds no state dict"],
    [
      "holds a number where the model would be",
      pickle(dict(text("model"), int(1))),
      "bad_format",
      "holds no state dict",
    ],
  ])("that %s", async (_, data, code, reason) => {
    expect(await refusal(torchZip(data, { 0: six }))).toMatchObject({
      code,
      message: expect.stringContaining(reason),
    });
  });
});

describe("a pickle in a legacy file", () => {
  test.each(PICKLES)("that %s", async (_, data, code, reason) => {
    expect(await refusal(torchLegacy(data, [["0", 6, six]]))).toMatchObject({
      code,
      message: expect.stringContaining(reason),
    });
  });
});

test("no more is read of a hostile file than a pickle may have", async () => {
  let largest = 0;
  const inner = torchZip(pickle(repeat("]0", 1_000_000)));
  const source: ByteSource = {
    ...inner,
    size: inner.size,
    readInto(destination, start, signal) {
      largest = Math.max(largest, destination.length);
      return inner.readInto(destination, start, signal);
    },
  };
  await refusal(source);
  expect(largest).toBeLessThanOrEqual(16 * 1024 * 1024);
  const large = torchZip(new Uint8Array(17 * 1024 * 1024));
  expect((await refusal(large)).message).toContain("data.pkl has 17825792 bytes");
});

test("what is neither zip nor pickle is refused", async () => {
  const tar = memorySource(bytesOf("sys_info", new Uint8Array(600)), "m.pth");
  expect((await refusal(tar)).message).toContain("no zip, no pickle");
  expect((await refusal(memorySource(new Uint8Array(0), "m.pth"))).code).toBe("bad_format");
});
