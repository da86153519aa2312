/** Archives and legacy files that attack, or are broken: each is refused with the reason. */
import { describe, expect, test } from "vitest";
import { memorySource } from "../../../../src/sources/memory.ts";
import type { ByteSource } from "../../../../src/sources/source.ts";
import { refusal } from "./refusal.ts";
import {
  bytesOf,
  call,
  dict,
  f32,
  type Member,
  pickle,
  repeat,
  tensor,
  text,
  torchLegacy,
  zip,
} from "./torch-writer.ts";

const matrix = tensor({ elements: 6, shape: [2, 3], strides: [3, 1] });
const good = pickle(dict(text("w"), matrix));
const six = f32(1, 2, 3, 4, 5, 6);
describe("a legacy file", () => {
  const w = [["0", 6, six]] as const;
  test.each<[string, ByteSource, string, string]>([
    [
      "with a storage that passes its end",
      torchLegacy(good, [["0", 6, six.subarray(1)]]),
      "bad_format",
      "needs 24 bytes",
    ],
    [
      "with another length than its tensors say",
      torchLegacy(good, [["0", 5, six]]),
      "bad_format",
      "has 5 elements, its tensors say 6",
    ],
    ["that lacks a storage", torchLegacy(good, []), "bad_format", "storage 0 is missing"],
    ["with a storage twice", torchLegacy(good, [...w, ...w]), "bad_format", "storage 0"],
    [
      "with a storage that nothing uses",
      torchLegacy(good, [...w, ["1", 0, six]]),
      "bad_format",
      "storage 1",
    ],
    [
      "that is big-endian",
      torchLegacy(good, w, dict(text("little_endian"), [0x89])),
      "unsupported",
      "byte order",
    ],
    [
      "whose head is a call",
      torchLegacy(good, w, call("os", "system", text("id"))),
      "unsupported",
      "os.system",
    ],
    ["that is another pickle", memorySource(pickle("N"), "m.pth"), "bad_format", "magic number"],
    [
      "cut off in its first pickle",
      memorySource(bytesOf(0x80, 2, 0x8a, 10), "m.pth"),
      "bad_format",
      "ends within",
    ],
    [
      "that never ends",
      memorySource(repeat([0x80, 2], 10_000_000), "m.pth"),
      "bad_format",
      "more than 500000 operations",
    ],
  ])("%s", async (_, source, code, reason) => {
    expect(await refusal(source)).toMatchObject({ code, message: expect.stringContaining(reason) });
  });
});

describe("an archive", () => {
  const data: Member = { name: "m/data.pkl", bytes: good };
  const zero: Member = { name: "m/data/0", bytes: six };
  const cut = zip([data, zero]);
  const change = (at: number, byte: number): Uint8Array => {
    const bytes = zip([data, zero]);
    bytes[at < 0 ? bytes.length + at : at] = byte;
    return bytes;
  };
  test.each<[string, Uint8Array, string, string]>([
    ["cut off", cut.subarray(0, cut.length - 1), "bad_format", "no end record"],
    ["that is only a signature", bytesOf("PK", 3, 4), "bad_format", "too short"],
    [
      "with a compressed storage",
      zip([data, { ...zero, method: 8 }]),
      "unsupported",
      "m/data/0: compressed (method 8)",
    ],
    ["with a compressed pickle", zip([{ ...data, method: 8 }, zero]), "unsupported", "compressed"],
    ["with an encrypted storage", zip([data, { ...zero, flags: 1 }]), "unsupported", "encrypted"],
    ["whose header says compressed", change(8, 8), "bad_format", "stored here, compressed there"],
    [
      "with a larger size than its file",
      zip([data, { ...zero, size: 1e9, stored: 1e9 }]),
      "bad_format",
      "cut off",
    ],
    [
      "with two sizes",
      zip([data, { ...zero, size: 23 }]),
      "bad_format",
      "23 bytes, 24 of them stored",
    ],
    [
      "with a size of 2^64 - 1",
      zip([data, { ...zero, size: 2 ** 64 - 2048, stored: 2 ** 64 - 2048 }], true),
      "bad_format",
      "cut off",
    ],
    [
      "with a member over another",
      zip([data, { ...zero, header: 0 }]),
      "bad_format",
      "over another",
    ],
    [
      "with a member that reaches into the next",
      zip([{ ...data, size: good.length + 9, stored: good.length + 9 }, zero]),
      "bad_format",
      "what follows begins at",
    ],
    [
      "with a member beyond its end",
      zip([data, { ...zero, header: 4_000_000_000 }]),
      "bad_format",
      "cut off",
    ],
    ["with a member twice", zip([data, zero, zero]), "bad_format", "there twice"],
    [
      "with a member above its folder",
      zip([data, { ...zero, name: "m/../../etc/passwd" }]),
      "bad_format",
      "not a plain path",
    ],
    [
      "with an absolute member",
      zip([data, { ...zero, name: "/etc/passwd" }]),
      "bad_format",
      "not a plain path",
    ],
    [
      "with a Windows path",
      zip([data, { ...zero, name: "C:\\x" }]),
      "bad_format",
      "not a plain path",
    ],
    [
      "with a NUL in a name",
      zip([data, { ...zero, name: "m/data/0\0.txt" }]),
      "bad_format",
      "not a plain path",
    ],
    ["without a pickle", zip([zero]), "bad_format", "0 members named NAME/data.pkl"],
    [
      "with two pickles",
      zip([data, { ...data, name: "n/data.pkl" }, zero]),
      "bad_format",
      "2 members named",
    ],
    ["that lacks a storage", zip([data]), "bad_format", "storage 0 is missing"],
    [
      "with a storage of another size",
      zip([data, { ...zero, bytes: six.subarray(4) }]),
      "bad_format",
      "storage 0 has 20 bytes, its tensors say 24",
    ],
    [
      "of a big-endian machine",
      zip([data, zero, { name: "m/byteorder", bytes: bytesOf("big") }]),
      "unsupported",
      "byte order big",
    ],
    [
      "with a byte order of a megabyte",
      zip([data, zero, { name: "m/byteorder", bytes: new Uint8Array(1e6) }]),
      "bad_format",
      "byteorder has 1000000 bytes",
    ],
    ["with a directory that is not there", change(-6, 0xff), "bad_format", "directory of"],
    [
      "with a record's name beyond the directory",
      change(-22 - "m/data/0".length - 46 + 28, 0xff),
      "bad_format",
      "directory record 1 is cut off",
    ],
    ["with too many members", change(-12, 0xff), "bad_format", "is malformed"],
  ])("%s", async (_, bytes, code, reason) => {
    expect(await refusal(memorySource(bytes, "m.pth"))).toMatchObject({
      code,
      message: expect.stringContaining(reason),
    });
  });

  test("with a member that has no header", async () => {
    const bytes = zip([data, zero]);
    // The second header's signature.
    bytes[30 + "m/data.pkl".length + good.length] = 0;
    expect((await refusal(memorySource(bytes, "m.pth"))).message).toContain("m/data/0: no header");
  });
});
