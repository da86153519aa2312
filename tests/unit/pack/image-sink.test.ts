import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../../../src/engine/open-checkpoint.ts";
import { openGguf } from "../../../src/engine/open-gguf.ts";
import type { ImageSink } from "../../../src/pack/image-pieces.ts";
import { loadWeights } from "../../../src/pack/loader.ts";
import { MAX_SHARD_BYTES } from "../../../src/pack/manifest.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { randomCheckpoint } from "../../support/random-checkpoint.ts";
import { memoryFolder } from "./memory-folder.ts";
import { samplePack } from "./sample-pack.ts";

const { folder, manifest } = await samplePack();
const image = new Uint8Array(manifest.weight_bytes);
await loadWeights(folder, manifest, image);

/** A sink into memory, which knows what it was given. */
class WatchedSink implements ImageSink {
  readonly image: Uint8Array;
  readonly writes: { offset: number; bytes: number }[] = [];
  readonly buffers = new Set<ArrayBufferLike>();
  readonly #wait: (() => Promise<void>) | undefined;

  constructor(bytes: number, wait?: () => Promise<void>) {
    this.image = new Uint8Array(bytes);
    this.#wait = wait;
  }

  write(offset: number, bytes: Uint8Array): void | Promise<void> {
    this.writes.push({ offset, bytes: bytes.length });
    this.buffers.add(bytes.buffer);
    const put = (): void => this.image.set(bytes, offset);
    return this.#wait ? this.#wait().then(put) : put();
  }
}

describe("a pack goes through a sink", () => {
  test("whole, each byte once, by two buffers of a shard's size", async () => {
    const sink = new WatchedSink(manifest.weight_bytes);
    await loadWeights(folder, manifest, sink);
    expect(Buffer.compare(sink.image, image)).toBe(0);
    const written = sink.writes.toSorted((a, b) => a.offset - b.offset);
    let end = 0;
    for (const { offset, bytes } of written) {
      expect(offset).toBe(end);
      end += bytes;
    }
    expect(end).toBe(manifest.weight_bytes);
    const largest = Math.max(...manifest.shards.map(({ bytes }) => bytes));
    expect([...sink.buffers].every(({ byteLength }) => byteLength <= largest)).toBe(true);
    // A lane's buffer is made anew where a later shard is larger: the sizes here grow at most once.
    expect(sink.buffers.size).toBeLessThanOrEqual(4);
    expect(sink.buffers.size).toBeLessThan(manifest.shards.length);
  });

  test("that takes its time: the bytes stay as they are until it is done", async () => {
    const sink = new WatchedSink(
      manifest.weight_bytes,
      () => new Promise((resolve) => setTimeout(resolve, 2)),
    );
    await loadWeights(folder, manifest, sink);
    expect(Buffer.compare(sink.image, image)).toBe(0);
  });

  test("in a part: nothing else of the image is written", async () => {
    const [first, second] = manifest.shards;
    const range = { start: first.bytes - 64, end: first.bytes + second.bytes + 32 };
    const sink = new WatchedSink(manifest.weight_bytes);
    await loadWeights(folder, manifest, sink, { range });
    const wanted = new Uint8Array(manifest.weight_bytes);
    wanted.set(image.subarray(range.start, range.end), range.start);
    expect(Buffer.compare(sink.image, wanted)).toBe(0);
  });

  test("which gets no byte of a shard that is damaged", async () => {
    const broken = memoryFolder("bucket/broken");
    for (const [name, bytes] of folder.objects) broken.objects.set(name, bytes.slice());
    broken.objects.get(`${manifest.shards[2].sha256}.bin`)![5] ^= 4;
    const start = manifest.shards[0].bytes + manifest.shards[1].bytes;
    const sink = new WatchedSink(manifest.weight_bytes);
    await expect(loadWeights(broken, manifest, sink)).rejects.toMatchObject({ code: "corrupt" });
    expect(sink.writes.some(({ offset }) => offset === start)).toBe(false);
    expect(sink.image[start + 5]).toBe(0);
  });

  test("that fails: loading does, with the same error", async () => {
    const failure = new Error("the device is gone");
    const sink: ImageSink = {
      write() {
        throw failure;
      },
    };
    await expect(loadWeights(folder, manifest, sink)).rejects.toBe(failure);
  });
});

describe("a GGUF file goes through a sink", () => {
  const bytes = new Uint8Array(readFileSync("tests/goldens/tokenizers/tok_bpe.gguf"));
  const sources = [memorySource(bytes, "tok_bpe.gguf")];
  const open = () => openGguf(sources, { quantization: "none", profile: "default" });

  test("with the image and the hashes that it has in memory", async () => {
    const model = await open();
    const memory = new Uint8Array(model.weightBytes);
    await model.loadWeights(memory);
    const sink = new WatchedSink(model.weightBytes);
    await model.loadWeights(sink);
    expect(Buffer.compare(sink.image, memory)).toBe(0);
    expect(await model.shardHashes(sink)).toEqual(await model.shardHashes(memory));
    expect([...sink.buffers].map(({ byteLength }) => byteLength)).toEqual([
      Math.min(model.weightBytes, MAX_SHARD_BYTES),
    ]);
  });

  test("whose hashes are not known before", async () => {
    const model = await open();
    const sink = new WatchedSink(model.weightBytes);
    await expect(model.shardHashes(sink)).rejects.toMatchObject({ code: "bad_request" });
  });
});

test("a checkpoint of several shards goes through a sink one shard at a time, with the same hashes", async () => {
  const sizes = {
    vocab_size: 35_000, // 17.9 MB: the tables are larger than a shard, and each ends within one
    hidden_size: 128,
    intermediate_size: 128,
    num_hidden_layers: 1,
    num_attention_heads: 2,
  };
  const model = await openCheckpoint(randomCheckpoint(sizes, 3), {
    quantization: "none",
    profile: "default",
  });
  const memory = new Uint8Array(model.weightBytes);
  await model.loadWeights(memory);
  const sink = new WatchedSink(model.weightBytes);
  await model.loadWeights(sink);
  expect(Buffer.compare(sink.image, memory)).toBe(0);
  const hashes = await model.shardHashes(memory);
  expect(hashes.length).toBeGreaterThan(2);
  expect(await model.shardHashes(sink)).toEqual(hashes);
  expect(sink.writes).toHaveLength(hashes.length);
  expect(sink.buffers.size).toBe(1);
});
