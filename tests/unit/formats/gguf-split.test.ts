import { describe, expect, test } from "vitest";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import type { ByteSource } from "../../../src/sources/source.ts";
import { type Entry, writeGguf } from "./gguf-writer.ts";

const source = (bytes: Uint8Array, name = "m.gguf"): ByteSource => memorySource(bytes, name);

describe("a split model", () => {
  const part = (
    number: number,
    count: number,
    tensors: number,
    extra: Entry[] = [],
  ): ByteSource => {
    const { bytes } = writeGguf({
      entries: [
        { key: "split.no", kind: "u16", value: number },
        { key: "split.count", kind: "u16", value: count },
        { key: "split.tensors.count", kind: "i32", value: tensors },
        ...extra,
      ],
      tensors: [{ name: `blk.${number}.weight`, dims: [8], offset: 0 }],
      dataBytes: 32,
    });
    return source(bytes, `m-${number + 1}.gguf`);
  };
  const name: Entry = { key: "general.name", kind: "string", value: "whole" };
  const manyParts = source(
    writeGguf({ entries: [{ key: "split.count", kind: "u64", value: 2 ** 40 }] }).bytes,
  );

  test("is read from its parts in any order", async () => {
    const parts = [part(2, 3, 3), part(0, 3, 3, [name]), part(1, 3, 3)];
    const model = await readGguf(parts);

    expect(model.name).toBe("m-1.gguf");
    expect(model.metadata.get("general.name")).toBe("whole");
    expect([...model.tensors.values()].map((t) => [t.name, t.source.name])).toEqual([
      ["blk.0.weight", "m-1.gguf"],
      ["blk.1.weight", "m-2.gguf"],
      ["blk.2.weight", "m-3.gguf"],
    ]);
  });

  test.each<[string, ByteSource[], string, string]>([
    [
      "lacks a part",
      [part(0, 3, 3), part(2, 3, 3)],
      "not_found",
      "m-1.gguf: part 2 of 3 is missing",
    ],
    ["is one part alone", [part(1, 2, 2)], "not_found", "m-2.gguf: part 1 of 2 is missing"],
    ["has a part twice", [part(0, 2, 2), part(0, 2, 2)], "bad_format", "part 1 of 2, so is m-1"],
    ["mixes models", [part(0, 2, 2), part(1, 3, 3)], "bad_format", "split.count: 2, another part"],
    ["has a part too many", [part(0, 2, 2), part(2, 2, 2)], "bad_format", "split.no: 2 of 2"],
    ["lacks tensors", [part(0, 2, 3), part(1, 2, 3)], "bad_format", "split.tensors.count: 3, the"],
    [
      "is not split",
      [source(writeGguf({}).bytes), part(0, 1, 1)],
      "bad_format",
      "split.no: nothing",
    ],
    ["has absurdly many parts", [manyParts], "bad_format", "key split.count: 1099511627776"],
    ["has no parts", [], "bad_request", "no file given"],
  ])("that %s is refused", async (_, parts, code, message) => {
    await expect(readGguf(parts)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test("with one tensor in two parts is refused", async () => {
    const again = writeGguf({
      entries: [
        { key: "split.no", kind: "u16", value: 1 },
        { key: "split.count", kind: "u16", value: 2 },
      ],
      tensors: [{ name: "blk.0.weight", dims: [8], offset: 0 }],
      dataBytes: 32,
    });
    await expect(readGguf([part(0, 2, 2), source(again.bytes, "b.gguf")])).rejects.toMatchObject({
      code: "bad_format",
      message: "b.gguf: tensor blk.0.weight: is also in m-1.gguf",
    });
  });
});
