import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { readManifest } from "../../../src/pack/loader.ts";
import { MANIFEST_NAME } from "../../../src/pack/manifest.ts";
import { packTensors } from "../../../src/pack/packer.ts";
import { writePack } from "../../../src/pack/write-pack.ts";
import { memoryFolder } from "./memory-folder.ts";
import { SAMPLE_FIELDS, SAMPLE_TOKENIZER, sampleEntries, samplePack } from "./sample-pack.ts";
import { f32Tensor } from "./sample-tensors.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

test("the shards, one behind the other, are what packTensors puts into memory", async () => {
  const { folder, manifest } = await samplePack();
  const image = new Uint8Array(manifest.weight_bytes);
  await packTensors(sampleEntries(), (offset, bytes) => image.set(bytes, offset));
  const shards = manifest.shards.map(({ sha256 }) => folder.objects.get(`${sha256}.bin`)!);
  expect(shards.length).toBeGreaterThan(5);
  expect(Buffer.concat(shards).equals(image)).toBe(true);
});

test("every object has the size and SHA-256 that the manifest states, and its name", async () => {
  const { folder, manifest } = await samplePack();
  for (const object of [...manifest.shards, manifest.tokenizer!]) {
    const bytes = folder.objects.get(`${object.sha256}.bin`)!;
    expect(bytes.length).toBe(object.bytes);
    expect(sha256(bytes)).toBe(object.sha256);
    expect(bytes.length).toBeLessThanOrEqual(4096);
  }
  expect(folder.objects.get(`${manifest.tokenizer!.sha256}.bin`)).toEqual(SAMPLE_TOKENIZER);
});

test("the manifest is written last, says what was packed, and reads back as it was returned", async () => {
  const { folder, manifest } = await samplePack();
  expect(folder.written.at(-1)).toBe(MANIFEST_NAME);
  expect(folder.written.filter((name) => name === MANIFEST_NAME).length).toBe(1);
  expect(manifest).toMatchObject({ format: "pronk-pack", version: 1, ...SAMPLE_FIELDS });
  expect(await readManifest(folder)).toEqual(manifest);
});

test("the same input gives the same bytes, manifest included", async () => {
  const first = await samplePack();
  const second = await samplePack();
  expect(second.folder.objects).toEqual(first.folder.objects);
});

test("packing again writes nothing but the manifest", async () => {
  const { folder } = await samplePack();
  const before = folder.written.length;
  await samplePack({ target: folder });
  expect(folder.written.slice(before)).toEqual([MANIFEST_NAME]);
});

test("a pack without a tokenizer says so", async () => {
  const { folder, manifest } = await samplePack({ tokenizer: null });
  expect(manifest.tokenizer).toBeNull();
  expect(folder.written.length).toBe(new Set(manifest.shards.map((s) => s.sha256)).size + 1);
});

test("equal shards are one object", async () => {
  const zeros = {
    name: "z",
    tensor: f32Tensor("z", [64, 16], new Float32Array(1024)),
    form: "f32",
  } as const;
  const { folder, manifest } = await samplePack({ entries: [zeros], shardBytes: 1024 });
  expect(manifest.shards.length).toBe(4);
  expect(folder.written.length).toBe(1 + 1 + 1);
  expect((await readManifest(folder)).shards.length).toBe(4);
});

test("progress ends at the bytes of the image", async () => {
  const seen: number[] = [];
  const { manifest } = await samplePack({ onProgress: ({ packed }) => seen.push(packed) });
  expect(seen.at(-1)).toBe(manifest.weight_bytes);
});

test("a digest that is given is used", async () => {
  let digested = 0;
  const digest = async (bytes: Uint8Array): Promise<ArrayBuffer> => {
    digested += bytes.length;
    return new Uint8Array(createHash("sha256").update(bytes).digest()).buffer;
  };
  const { manifest } = await samplePack({ digest });
  expect(manifest).toEqual((await samplePack()).manifest);
  expect(digested).toBeGreaterThan(manifest.weight_bytes + SAMPLE_TOKENIZER.length);
});

describe("leaves no manifest behind", () => {
  test("when a write fails", async () => {
    const target = memoryFolder("full");
    let writes = 0;
    const write = target.write.bind(target);
    target.write = async (name, bytes) => {
      if (++writes === 3) throw new PronkError("source_failed", "full: no space left");
      await write(name, bytes);
    };
    await expect(samplePack({ target })).rejects.toMatchObject({ code: "source_failed" });
    expect(target.objects.has(MANIFEST_NAME)).toBe(false);
    expect(target.written.length).toBe(2);
  });

  test("when it is aborted", async () => {
    const abort = new AbortController();
    const target = memoryFolder("aborted");
    const onProgress = ({ packed, total }: { packed: number; total: number }): void => {
      if (packed > total / 2) abort.abort();
    };
    await expect(samplePack({ target, onProgress, signal: abort.signal })).rejects.toMatchObject({
      code: "aborted",
    });
    expect(target.objects.has(MANIFEST_NAME)).toBe(false);
  });
});

describe("refuses before anything is written", () => {
  test.each([
    [
      "a tokenizer that is no object of a pack",
      { tokenizer: new Uint8Array(16 * 1024 * 1024 + 1) },
      "bad_request",
    ],
    ["a shard size that is too large", { shardBytes: 32 * 1024 * 1024 }, "bad_request"],
    ["no tensors", { entries: [] }, "bad_format"],
    [
      "two tensors of one name",
      { entries: [...sampleEntries(), ...sampleEntries()] },
      "bad_format",
    ],
    ["a model name that is a path", { manifest: { ...SAMPLE_FIELDS, name: "../x" } }, "bad_format"],
  ])("%s", async (_, options, code) => {
    const target = memoryFolder("out");
    await expect(samplePack({ target, ...options })).rejects.toMatchObject({ code });
    expect(target.written).toEqual([]);
  });
});

test("memory stays at a shard and two pieces, whatever the size of the pack", async () => {
  // 40 MiB of weights in one tensor; what passes at a time is what is counted.
  const [rows, cols] = [20_480, 512];
  const row = new Uint8Array(new Float32Array(cols).fill(0.25).buffer);
  let largestRead = 0;
  const source = {
    name: "large.gguf",
    size: rows * cols * 4,
    async readInto(destination: Uint8Array): Promise<void> {
      largestRead = Math.max(largestRead, destination.length);
      for (let at = 0; at < destination.length; at += row.length) destination.set(row, at);
    },
  };
  const tensor = {
    name: "w",
    type: "F32",
    shape: [rows, cols],
    source,
    start: 0,
    bytes: source.size,
  } as const;
  let largestWrite = 0;
  const names = new Set<string>();
  await writePack({
    entries: [{ name: "w", tensor, form: "f32" }],
    manifest: SAMPLE_FIELDS,
    tokenizer: null,
    target: {
      name: "out",
      exists: async (name) => names.has(name),
      write: async (name, bytes) => {
        names.add(name);
        largestWrite = Math.max(largestWrite, bytes.length);
      },
    },
  });
  const MiB = 1024 * 1024;
  expect(largestRead).toBeLessThanOrEqual(4 * MiB);
  expect(largestWrite).toBe(16 * MiB);
});
