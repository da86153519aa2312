import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { openSealed, type Seal, SealedPieces, sealBytes } from "../../../src/pack/sealed-bytes.ts";
import { Sha256 } from "../../../src/pack/sha256-pieces.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const numbered = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + 7) % 256);

describe("SHA-256 of pieces", () => {
  test("is that of the whole, whatever its length is", () => {
    const found: string[] = [];
    const expected: string[] = [];
    for (let length = 0; length <= 260; length++) {
      const hash = new Sha256();
      hash.update(numbered(length));
      found.push(hex(hash.digest()));
      expected.push(createHash("sha256").update(numbered(length)).digest("hex"));
    }
    expect(found).toEqual(expected);
  });

  test("is that of the whole, wherever the pieces end", () => {
    const bytes = numbered(300);
    const expected = createHash("sha256").update(bytes).digest("hex");
    for (const step of [1, 3, 55, 56, 63, 64, 65, 127, 128, 129, 299]) {
      const hash = new Sha256();
      for (let at = 0; at < bytes.length; at += step) hash.update(bytes.subarray(at, at + step));
      hash.update(new Uint8Array(0));
      expect([step, hex(hash.digest())]).toEqual([step, expected]);
    }
  });
});

const SEAL: Seal = { magic: "pronktest", version: 3, what: "thing.bin", maxValues: 1000 };
const HEADER = { ids: [1, 2, 3], name: "Ω🦙" };

/** The bytes, `step` at a time, an empty piece among them. */
function* pieces(bytes: Uint8Array, step: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) {
    yield bytes.subarray(at, at + step);
    yield new Uint8Array(0);
  }
}

function readAll(seal: Seal, bytes: Uint8Array, body: number, step = 17): unknown {
  const reader = new SealedPieces(seal, pieces(bytes, step));
  const header = reader.header();
  const out = new Uint8Array(body);
  reader.readInto(out);
  reader.end();
  return { header, body: out };
}

async function codeOf(open: () => unknown): Promise<string> {
  try {
    await open();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    expect(message).toContain("thing.bin: ");
    return code;
  }
  return "none";
}

describe("sealed bytes", () => {
  const parts = [numbered(40), numbered(0), numbered(9)];
  const body = Uint8Array.from([...numbered(40), ...numbered(9)]);

  test("come back whole, at once or in pieces of any size", async () => {
    const bytes = await sealBytes(SEAL, HEADER, parts);
    const opened = await openSealed(SEAL, bytes);
    expect(opened).toMatchObject({ header: HEADER, hash: hex(bytes.subarray(-32)) });
    expect(hex(opened.body)).toBe(hex(body));
    for (const step of [1, 7, 64, 1000]) {
      expect(readAll(SEAL, bytes, body.length, step)).toEqual({ header: HEADER, body });
    }
  });

  test("begin their parts at a multiple of 8, which numbers need", async () => {
    for (const magic of ["a", "abcd", "pronk"]) {
      for (const name of ["", "x", "xyz", "xxxxxxx"]) {
        const bytes = await sealBytes({ ...SEAL, magic }, { name }, [Uint8Array.of(77)]);
        expect((bytes.length - 32 - 1) % 8).toBe(0);
        const opened = await openSealed({ ...SEAL, magic }, bytes);
        expect([opened.header, ...opened.body]).toEqual([{ name }, 77]);
      }
    }
  });

  test("are refused when any byte of them has changed", async () => {
    const bytes = await sealBytes(SEAL, HEADER, parts);
    for (let at = 0; at < bytes.length; at++) {
      const other = bytes.slice();
      other[at] = (other[at] ?? 0) ^ 0x10;
      const expected =
        at < SEAL.magic.length
          ? "bad_format"
          : at === SEAL.magic.length
            ? "unsupported"
            : "corrupt";
      expect([at, await codeOf(() => openSealed(SEAL, other))]).toEqual([at, expected]);
      // In pieces the header is read before the hash: it may say itself that it is wrong.
      const code = await codeOf(() => readAll(SEAL, other, body.length));
      expect([expected, "bad_format", "corrupt"]).toContain(code);
    }
  });

  test("are refused when they are cut anywhere, or go on", async () => {
    const bytes = await sealBytes(SEAL, HEADER, parts);
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      expect(await codeOf(() => openSealed(SEAL, cut))).not.toBe("none");
      expect(await codeOf(() => readAll(SEAL, cut, body.length))).toBe("bad_format");
    }
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(await codeOf(() => openSealed(SEAL, longer))).toBe("corrupt");
    expect(await codeOf(() => readAll(SEAL, longer, body.length))).toBe("bad_format");
    expect(await codeOf(() => readAll(SEAL, longer, body.length, bytes.length))).toBe("bad_format");
  });

  /** Bytes whose hash is right, and whose header is what it may not be. */
  function resealed(change: (bytes: Uint8Array) => void, bytes: Uint8Array): Uint8Array {
    const out = bytes.slice();
    change(out);
    out.set(createHash("sha256").update(out.subarray(0, -32)).digest(), out.length - 32);
    return out;
  }

  test("whose header does not end, or is no JSON, are refused though their hash is right", async () => {
    const bytes = await sealBytes(SEAL, HEADER, parts);
    const lengthAt = SEAL.magic.length + 1;
    const withLength = (length: number): Uint8Array =>
      resealed((out) => new DataView(out.buffer).setUint32(lengthAt, length, true), bytes);
    const text = resealed((out) => out.set([0x7d], lengthAt + 4), bytes);
    for (const wrong of [withLength(bytes.length), withLength(0xffffffff), withLength(3), text]) {
      expect(await codeOf(() => openSealed(SEAL, wrong))).toBe("bad_format");
      expect(await codeOf(() => readAll(SEAL, wrong, body.length))).toBe("bad_format");
    }
  });

  test.each([
    ["[".repeat(65), "is nested deeper than 64"],
    [`[${"0,".repeat(1000)}0]`, "has more than 1000 values"],
    [" ".repeat(8001), "has 8001 bytes, at most 8000"],
  ])("of a header that is more than any are refused: %#", async (header, why) => {
    const text = Buffer.from(header);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(text.length);
    const before = Buffer.concat([Buffer.from(SEAL.magic), Buffer.of(SEAL.version), size, text]);
    const hash = createHash("sha256").update(before).digest();
    const bytes = new Uint8Array(Buffer.concat([before, hash]));
    await expect(openSealed(SEAL, bytes)).rejects.toThrow(`thing.bin: its header ${why}`);
    expect(() => readAll(SEAL, bytes, 0)).toThrow(`thing.bin: its header ${why}`);
  });

  test("of a header that is larger than any are refused before memory is taken for it", async () => {
    const bytes = await sealBytes(SEAL, HEADER, parts);
    new DataView(bytes.buffer).setUint32(SEAL.magic.length + 1, 8001, true);
    const open = () => new SealedPieces(SEAL, pieces(bytes, 64)).header();
    expect(open).toThrow("thing.bin: its header has 8001 bytes, at most 8000");
  });
});
