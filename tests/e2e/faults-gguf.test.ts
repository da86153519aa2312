/** The real model's GGUF file, cut off or with impossible lengths: what the commands say of it. */
import { mkdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { MODEL_FILE } from "./environment.ts";
import { type Ended, runPronk } from "./faults-child.ts";

import { type GgufField, type GgufPlace, ggufFields } from "./gguf-fields.ts";
import { seededNumbers } from "./seeded-numbers.ts";

/** Node alone has 60 MB here, inspecting the whole file takes 70; the file itself has 98. */
const PEAK_BYTES = 100_000_000;

/** A command takes a quarter of a second; this is for a machine with much else to do. */
const LIMIT_MS = 20_000;

const file = await readFile(MODEL_FILE);
const { fields, places } = ggufFields(file);
const headerBytes = places[places.length - 1].end;
const damaged = join(packageRoot(), ".cache", "e2e", "faults.gguf");

beforeAll(() => mkdir(join(damaged, ".."), { recursive: true }));

/** Both commands fail alike: exit code 1 and one line, in bounded memory and time. */
async function expectRefused(facts: readonly string[]): Promise<void> {
  const commands = [
    ["inspect", damaged],
    ["run", damaged, "--prompt", "One, two,"],
  ];
  for (const command of commands) {
    const ended = await runPronk(command);
    expectOneLine(ended, [damaged, ...facts]);
    if (ended.peakBytes !== undefined) expect(ended.peakBytes).toBeLessThan(PEAK_BYTES);
    expect(ended.ms).toBeLessThan(LIMIT_MS);
  }
}

function expectOneLine({ code, out, err }: Ended, facts: readonly string[]): void {
  expect({ code, out }, err).toEqual({ code: 1, out: "" });
  expect(err).toMatch(/^pronk \w+: [^\n]+\n(?:next: [^\n]+\n)?$/);
  for (const fact of facts) expect(err).toContain(fact);
}

describe("a file that is cut off is refused, naming where and its size", () => {
  /** The first bytes of everything that comes but a few times, its middle, and some at random. */
  const ends = new Set<number>([1, 4, 12]);
  for (const key of ["general.architecture", "llama.block_count", "tokenizer.ggml.tokens"]) {
    const at = places.findIndex(({ where }) => where === `key ${key}`);
    for (const { start, end } of places.slice(at - 1, at + 1)) ends.add(start).add(end - 1);
  }
  for (const at of [0, 1, 2, places.length - 2, places.length - 1]) ends.add(places[at].start);
  ends.add(headerBytes - 1).add(headerBytes);
  const random = seededNumbers(1);
  while (ends.size < 32) ends.add(random(headerBytes));
  // Past the header, but not all weights.
  ends
    .add(headerBytes + 1000)
    .add(50_000_000)
    .add(file.length - 1);

  test.each([...ends].sort((a, b) => a - b))("at byte %d", async (end) => {
    await writeFile(damaged, file.subarray(0, end));
    await expectRefused([whereCut(end), `${end}`]);
  });

  /** What a reader that goes from front to back finds missing first. */
  function whereCut(end: number): string {
    const [magic, tensorCount] = places;
    // A tensor takes 33 bytes at least, so that its count is too large for a file this short.
    const fewest = tensorCount.end + 33 * places.filter(isTensor).length;
    if (end >= magic.end && end < fewest) return "tensor count";
    const place = places.find((one) => end < one.end);
    return place?.where ?? "tensor ";
  }
});

describe("a length of 2^63 is refused, naming the field", () => {
  const wanted = (kind: GgufField["kind"], count: number): GgufField[] =>
    fields.filter((field) => field.kind === kind).slice(0, count);
  const chosen = [
    ...wanted("count", 2),
    ...wanted("key", 6),
    ...wanted("string", 6),
    ...wanted("array", 4),
    ...wanted("item", 2),
    ...wanted("name", 2),
    ...wanted("dimension", 3),
    ...wanted("offset", 2),
    ...fields.filter(({ kind }) => kind === "item").slice(-1),
    ...fields.slice(-3),
  ];

  test.each(chosen)("$kind of $where, at byte $offset", async ({ where, offset }) => {
    const header = new Uint8Array(file.subarray(0, headerBytes));
    new DataView(header.buffer).setBigUint64(offset, 2n ** 63n, true);
    await writeFile(damaged, header);
    // The size of the real file, as a hole.
    await truncate(damaged, file.length);
    await expectRefused([where, `${2n ** 63n}`]);
  });
});

function isTensor({ where }: GgufPlace): boolean {
  return where.startsWith("tensor ") && !/^tensor (entry|count)/.test(where);
}
