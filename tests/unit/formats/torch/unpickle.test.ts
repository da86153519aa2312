/** Pickles as Python writes them come out as their values, whatever opcodes it chose for them. */
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import {
  PickleDict,
  PickleGlobal,
  PickleTuple,
} from "../../../../src/formats/torch/pickle-values.ts";
import { Unpickler } from "../../../../src/formats/torch/unpickle.ts";
import { bytesOf, type Code, int, text } from "./torch-writer.ts";

const ordered = new PickleGlobal("collections.OrderedDict", () => new PickleDict());
const read = (bytes: Uint8Array): unknown =>
  new Unpickler(bytes, {
    name: "data.pkl",
    globals: new Map([[ordered.name, ordered]]),
    persistent: (id) => ({ id }),
    build: () => {},
  }).run();

/** Tuples as {tuple}, dicts as {dict}, bytes as {hex}: what toEqual tells apart. */
function plain(value: unknown): unknown {
  if (value instanceof PickleTuple) return { tuple: value.items.map(plain) };
  if (value instanceof PickleDict)
    return { dict: [...value].map(([k, v]) => [plain(k), plain(v)]) };
  if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString("hex") };
  return Array.isArray(value) ? value.map(plain) : value;
}

const MARK = "(";
test.each<[string, Code, unknown]>([
  ["None", "N", null],
  ["True", [0x88], true],
  ["False", [0x89], false],
  ["an int of one byte", ["K", 200], 200],
  ["an int of two", ["M", 0x34, 0x12], 0x1234],
  ["a negative int of four", ["J", 0xfe, 0xff, 0xff, 0xff], -2],
  ["a long of no bytes", [0x8a, 0], 0],
  ["a negative long", [0x8a, 1, 0x80], -128],
  ["a long of nine bytes", [0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1], 2n ** 64n],
  ["a long whose length has four bytes", [0x8b, 2, 0, 0, 0, 1, 2], 513],
  ["a float, its bytes the other way round", ["G", 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], 1.5],
  ["a string of protocol 1", ["U", 2, "a", 0xe9], "aé"],
  ["a long one", ["T", 2, 0, 0, 0, "ab"], "ab"],
  ["bytes", ["C", 2, 1, 0xff], { hex: "01ff" }],
  ["many bytes", ["B", 3, 0, 0, 0, 1, 2, 3], { hex: "010203" }],
  ["a text", text("ab"), "ab"],
  ["a short one in UTF-8", [0x8c, 2, 0xce, 0xa9], "Ω"],
  ["one whose length has eight bytes", [0x8d, 1, 0, 0, 0, 0, 0, 0, 0, "x"], "x"],
  ["an empty tuple", ")", { tuple: [] }],
  ["a tuple of one", ["K", 1, 0x85], { tuple: [1] }],
  ["a tuple of two", ["K", 1, "K", 2, 0x86], { tuple: [1, 2] }],
  ["a tuple of three", ["K", 1, "K", 2, "K", 3, 0x87], { tuple: [1, 2, 3] }],
  ["a tuple of more", [MARK, "K", 1, "K", 2, "K", 3, "K", 4, "t"], { tuple: [1, 2, 3, 4] }],
  ["a list", [MARK, "K", 1, "K", 2, "l"], [1, 2]],
  ["a list that grows", ["]", "K", 1, "a", MARK, "K", 2, "K", 3, "e"], [1, 2, 3]],
  ["a dict", [MARK, text("a"), "K", 1, "d"], { dict: [["a", 1]] }],
  [
    "a dict that grows",
    ["}", text("a"), "K", 1, "s", MARK, text("b"), "K", 2, "u"],
    {
      dict: [
        ["a", 1],
        ["b", 2],
      ],
    },
  ],
  ["a value that is dropped", ["K", 1, "K", 2, "0"], 1],
  ["values that are dropped to a mark", ["K", 1, MARK, "K", 2, "K", 3, "1"], 1],
  ["a value of the memo", [MARK, text("a"), "q", 7, "h", 7, "t"], { tuple: ["a", "a"] }],
  [
    "a value of the memo beyond 255",
    [MARK, text("a"), "r", 0, 1, 0, 0, "j", 0, 1, 0, 0, "t"],
    { tuple: ["a", "a"] },
  ],
  [
    "a value that is memoized by its turn",
    [MARK, text("a"), 0x94, "h", 0, "t"],
    { tuple: ["a", "a"] },
  ],
  ["a global that is called", [text("collections"), text("OrderedDict"), 0x93, ")R"], { dict: [] }],
  ["a persistent id", [int(5), "Q"], { id: 5 }],
])("%s", (_, code, value) => {
  const bytes = bytesOf(0x80, 4, 0x95, new Uint8Array(8), code, ".");
  expect(plain(read(bytes))).toEqual(value);
});

test.each([
  ["INST", ["(", "ios\nsystem\n"], "INST makes an object of os.system"],
  ["OBJ", ["(", ["ccollections\nOrderedDict\n"], "o"], "OBJ makes an object of"],
  ["NEWOBJ", [["ccollections\nOrderedDict\n"], ")", 0x81], "NEWOBJ makes an object of"],
  ["NEWOBJ of a tuple", [")", ")", 0x81], "NEWOBJ makes an object of a tuple"],
  ["NEWOBJ_EX of a list", ["]", ")", "}", 0x92], "NEWOBJ_EX makes an object of a list"],
  ["NEWOBJ of None", ["N", ")", 0x81], "NEWOBJ makes an object of None"],
  ["NEWOBJ_EX", [["ccollections\nOrderedDict\n"], ")", "}", 0x92], "NEWOBJ_EX makes an object"],
  ["protocol 6", [0x80, 6], "protocol 6"],
  ["a set", [0x8f], "EMPTY_SET"],
  ["DUP", ["K", 1, "2"], "DUP"],
  ["no opcode of Python's", [0xff], "opcode 0xff"],
] as [string, Code, string][])("%s is refused by its name", (_, code, message) => {
  expect(() => read(bytesOf(code, "."))).toThrow(
    expect.objectContaining({ code: "unsupported", message: expect.stringContaining(message) }),
  );
});

test.each([
  ["names that are no texts", ["K", 1, "K", 2, 0x93], "STACK_GLOBAL without names"],
  ["a key without a value", ["}", MARK, "K", 1, "u"], "a key without a value"],
  ["an item for what is no list", ["K", 1, "K", 2, "a"], "APPEND to what is no list"],
  ["an item for what is no dict", ["K", 1, "K", 2, "K", 3, "s"], "SETITEM on what is no dict"],
  ["a memo that was not set", ["h", 3], "memo 3 is not set"],
  ["more values than one", ["K", 1, "K", 2], "STOP with values left"],
] as [string, Code, string][])("%s: the file is malformed", (_, code, message) => {
  expect(() => read(bytesOf(code, "."))).toThrow(
    expect.objectContaining({ code: "bad_format", message: expect.stringContaining(message) }),
  );
});

const python = (() => {
  try {
    execFileSync("python3", ["--version"], { timeout: 20_000, stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!python)("what Python pickles, in each of its protocols, is what it was", () => {
  const script = `
import pickle, sys
value = ({"a": [1, 300, 70000, -1, 2**40], "n": None, "t": True, "f": False, "x": 1.5},
  (1, 2, 3), (1,), (), [str(i) for i in range(400)] * 2, {})
print("\\n".join(pickle.dumps(value, p).hex() for p in (2, 3, 4, 5)))`;
  const texts = Array.from({ length: 400 }, (_, i) => `${i}`);
  const out = execFileSync("python3", ["-c", script], { timeout: 60_000, encoding: "utf8" });
  for (const line of out.trim().split("\n")) {
    expect(plain(read(new Uint8Array(Buffer.from(line, "hex"))))).toEqual({
      tuple: [
        {
          dict: [
            ["a", [1, 300, 70000, -1, 2 ** 40]],
            ["n", null],
            ["t", true],
            ["f", false],
            ["x", 1.5],
          ],
        },
        { tuple: [1, 2, 3] },
        { tuple: [1] },
        { tuple: [] },
        [...texts, ...texts],
        { dict: [] },
      ],
    });
  }
});
