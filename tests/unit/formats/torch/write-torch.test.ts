import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { OutputFile } from "../../../../src/formats/output-file.ts";
import { storedTensor } from "../../../../src/formats/stored-tensor.ts";
import { writeTorch } from "../../../../src/formats/torch/write-torch.ts";
import { readZipIndex } from "../../../../src/formats/torch/zip-index.ts";
import { crc32, ZipWriter } from "../../../../src/formats/torch/zip-writer.ts";
import { memorySource } from "../../../../src/sources/memory.ts";
import { memoryFolder } from "../../../support/memory-folder.ts";
import { temporaryFolder } from "../../platform/temporary-folder.ts";

test("the checksum is that of the standard's check value, in one piece or several", () => {
  const bytes = new TextEncoder().encode("123456789");
  expect(crc32(bytes)).toBe(0xcbf43926);
  expect(crc32(bytes.subarray(4), crc32(bytes.subarray(0, 4)))).toBe(0xcbf43926);
});

test("Python's zipfile finds every member whole, and pickle the names, types and shapes", async () => {
  const folder = memoryFolder();
  const bytes = Uint8Array.from({ length: 240 }, (_, i) => i);
  const source = memorySource(bytes, "source");
  const file = await folder.create("a.pth");
  await writeTorch(
    file,
    [
      storedTensor("tok_embeddings.weight", "BF16", [30, 4], source, 0),
      storedTensor("norm.weight", "F32", [60], source, 0),
    ],
    { archive: "a" },
  );
  await file.close();
  const path = join(await temporaryFolder(), "a.pth");
  writeFileSync(path, folder.files.get("a.pth")!);
  const script = `
import io, json, pickle, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if name == "_rebuild_tensor_v2": return lambda *args: list(args[:4])
        return dict if name == "OrderedDict" else f"{module}.{name}"
    def persistent_load(self, saved): return list(saved)
state = Unpickler(io.BytesIO(archive.read("a/data.pkl"))).load()
data = {name: list(archive.read(name)) for name in archive.namelist() if "/data/" in name}
print(json.dumps({"state": state, "data": data, "starts": [i.header_offset for i in archive.infolist()]}))`;
  const out = execFileSync("python3", ["-c", script, path], { encoding: "utf8", timeout: 20_000 });
  const { state, data } = JSON.parse(out);
  expect(state).toEqual({
    "tok_embeddings.weight": [
      ["storage", "torch.BFloat16Storage", "0", "cpu", 120],
      0,
      [30, 4],
      [4, 1],
    ],
    "norm.weight": [["storage", "torch.FloatStorage", "1", "cpu", 60], 0, [60], [1]],
  });
  expect(data).toEqual({ "a/data/0": [...bytes], "a/data/1": [...bytes] });
});

/** Counts bytes and keeps those of the end: gigabytes that nobody stores. */
function farFile(skipFrom: number): OutputFile & { tail(): Uint8Array; size: number } {
  const kept: Uint8Array[] = [];
  return {
    size: 0,
    tail: () => new Uint8Array(Buffer.concat(kept)),
    async write(bytes) {
      this.size += bytes.length;
      if (bytes.length !== skipFrom) kept.push(bytes.slice());
    },
    async close() {},
    async discard() {},
  };
}

test("a member of more than 4 GiB, and members behind it, are found by 64-bit offsets", async () => {
  const piece = new Uint8Array(2 ** 26); // zeros, whose checksum is cheap to skip over
  const pieces = 65;
  const file = farFile(piece.length);
  const zip = new ZipWriter(file);
  await zip.add("large", piece.length * pieces, async (put) => {
    for (let i = 0; i < pieces; i++) await put(piece);
  });
  await zip.addBytes("small", Uint8Array.of(1, 2, 3));
  await zip.finish();

  // What was kept, with the zeros between: the first header is 64 bytes.
  const kept = file.tail();
  const gap = piece.length * pieces;
  const source = {
    name: "far",
    size: file.size,
    async readInto(into: Uint8Array, start: number): Promise<void> {
      for (let i = 0; i < into.length; i++) {
        const at = start + i;
        into[i] = at < 64 ? kept[at] : at < 64 + gap ? 0 : kept[at - gap];
      }
    },
  };
  const members = await readZipIndex(source);
  expect(members.get("large")).toEqual({ start: 64, bytes: gap });
  const { start, bytes } = members.get("small")!;
  const small = new Uint8Array(bytes);
  await source.readInto(small, start);
  expect([...small]).toEqual([1, 2, 3]);
  expect(start % 64).toBe(0);
}, 120_000);
