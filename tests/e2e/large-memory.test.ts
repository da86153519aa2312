/**
 * More than 2 GiB of weights on real runtimes: read, verified and used at addresses above 2^31. The
 * model is SmolLM2's pack behind 2 GiB of zeros, which are one stored shard, so its hash is known.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { freemem } from "node:os";
import { join } from "node:path";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { type CommandLine, commandLineOn, runChild } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { MANIFEST_NAME, MAX_SHARD_BYTES } from "../../src/pack/manifest.ts";
import { objectName } from "../../src/pack/shards.ts";
import { DEFAULT_PACK } from "./environment.ts";
import { linkedCopy, manifestOf } from "./faults-pack.ts";

const PADDING_BYTES = 2 ** 31;

/** Weights, the rest of the plan and the runtime itself: 2.4 GB, and some to spare. */
const NEEDED_BYTES = 3e9;

const LINES: [string, () => CommandLine][] = [
  ["this Node", thisNode],
  ["the newer Node", () => commandLineOn("node")],
  ["Deno", () => commandLineOn("deno")],
  ["Bun", () => commandLineOn("bun")],
];

let expected: string;
let large: string;

beforeAll(async () => {
  expected = await hashOn(thisNode(), DEFAULT_PACK);
  large = await writeLargePack();
});

test.each(LINES)("%s gives the same logits above 2 GiB", async (_, line) => {
  expect(await hashOn(line(), large)).toBe(expected);
});

beforeEach(({ skip }) => {
  const free = availableBytes();
  const short = `needs ${NEEDED_BYTES / 1e9} GB of memory, ${(free / 1e9).toFixed(1)} are free`;
  if (free < NEEDED_BYTES) skip(short);
});

function thisNode(): CommandLine {
  return {
    program: process.execPath,
    args: [join(packageRoot(), "dist", "src", "cli", "main.js")],
  };
}

async function hashOn(line: CommandLine, pack: string): Promise<string> {
  const args = ["hash", pack, "--chunk", "512", "--json"];
  return JSON.parse(await runChild(line, args, { timeoutMs: 250_000 })).logits_sha256;
}

async function writeLargePack(): Promise<string> {
  const folder = await linkedCopy(DEFAULT_PACK, "large");
  const zeros = new Uint8Array(MAX_SHARD_BYTES);
  const sha256 = createHash("sha256").update(zeros).digest("hex");
  const shard = { sha256, bytes: zeros.length };
  await writeFile(join(folder, objectName(shard)), zeros);

  // By hand, so without a checksum.
  const { checksum: _, ...manifest } = await manifestOf(DEFAULT_PACK);
  const [rows, cols] = [2 ** 15, 2 ** 14];
  const padding = { name: "padding", form: "f32", shape: [rows, cols], offset: 0 };
  const edited = {
    ...manifest,
    weight_bytes: PADDING_BYTES + manifest.weight_bytes,
    tensors: [
      { ...padding, bytes: PADDING_BYTES },
      ...manifest.tensors.map((t) => ({ ...t, offset: PADDING_BYTES + t.offset })),
    ],
    shards: [
      ...Array.from({ length: PADDING_BYTES / MAX_SHARD_BYTES }, () => shard),
      ...manifest.shards,
    ],
  };
  await writeFile(join(folder, MANIFEST_NAME), JSON.stringify(edited));
  return folder;
}

/** What programs can still get: on Linux the page cache counts, too. */
function availableBytes(): number {
  try {
    const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "latin1"));
    return Number(kibibytes?.[1] ?? Number.NaN) * 1024 || freemem();
  } catch {
    return freemem();
  }
}
