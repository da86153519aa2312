/** Converting a checkpoint of 1.5 billion weights takes the memory of a part of one tensor. */
import { execFile } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { readSafetensors } from "../../src/formats/safetensors/read-safetensors.ts";
import { LLAMA_1B, mark, writeMeta1b } from "../support/synthetic-meta.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");

/** What the issue allows; it took 104 MB on Node 20. */
const MAX_BYTES = 600e6;

/** Tells the most memory that the process had, in KiB. */
const AT_EXIT = `data:text/javascript,process.once("exit", () =>
  console.error("peak " + process.resourceUsage().maxRSS))`.replace("\n", "");

async function convert(args: readonly string[]): Promise<number> {
  const err = await new Promise<string>((resolve, reject) => {
    execFile(
      process.execPath,
      ["--import", AT_EXIT, main, "convert", ...args],
      { timeout: 240_000 },
      (error, _, text) => (error ? reject(error) : resolve(text)),
    );
  });
  return Number(/peak (\d+)/.exec(err)?.[1]) * 1024;
}

test("a Meta checkpoint of two shards becomes safetensors in less than 600 MB", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pronk-e2e-meta-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeMeta1b(join(folder, "meta"));
  const out = join(folder, "hf");
  const peak = await convert(["--input_dir", join(folder, "meta"), "--output_dir", out]);
  expect(peak).toBeGreaterThan(40e6);
  expect(peak).toBeLessThan(MAX_BYTES);

  const file = await open(join(out, "model.safetensors"));
  onTestFinished(() => file.close());
  const { size } = await file.stat();
  const tensors = await readSafetensors({
    name: "out",
    size,
    async readInto(into, start) {
      await file.read(into, 0, into.length, start);
    },
  });
  const element = async (name: string, row: number, column: number): Promise<number> => {
    const { start, shape } = tensors.get(name)!;
    const bits = new Uint16Array(1);
    await file.read(bits, 0, 2, start + (row * shape[1] + column) * 2);
    return bits[0];
  };
  const { dim, vocab_size, ffn } = LLAMA_1B;
  const embedding = "model.embed_tokens.weight";
  expect(tensors.get(embedding)!.shape).toEqual([vocab_size, dim]);
  expect(await element(embedding, 640, 0)).toBe(mark(640));
  expect(await element(embedding, vocab_size / 2 + 640, 0)).toBe(mark(640));
  expect(await element(embedding, 641, 0)).toBe(0);
  expect(await element("lm_head.weight", 640, 0)).toBe(mark(641));
  const down = "model.layers.15.mlp.down_proj.weight";
  expect(tensors.get(down)!.shape).toEqual([dim, ffn]);
  expect(await element(down, 1024, 0)).toBe(mark(1024));
  expect(await element(down, 1024, ffn / 2)).toBe(mark(1024));
  // Row 64 is the first of the second head: pairs and halves begin with the same row.
  expect(await element("model.layers.3.self_attn.q_proj.weight", 64, 0)).toBe(mark(64));
}, 300_000);
