/** Damaged packs on Node: commands end with one line, a server lives on and recovers. */
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { MANIFEST_NAME, type PackedObject } from "../../src/pack/manifest.ts";
import { objectName } from "../../src/pack/shards.ts";
import { type ChildServer, startServer } from "./child-server.ts";
import { ANSWER_IDS, DEFAULT_PACK, MODEL_FILE } from "./environment.ts";
import { runPronk } from "./faults-child.ts";
import {
  ask,
  expectFailedHealth,
  expectRefused,
  flipBit,
  linkedCopy,
  manifestOf,
  replaceObject,
} from "./faults-pack.ts";
import { seededNumbers } from "./seeded-numbers.ts";

/** Bits that are flipped in each object, one at a time. */
const FLIPS = 2;

interface Damage {
  readonly what: string;
  readonly object: string;
  /** What the object becomes; undefined: it is gone. */
  damage(bytes: Uint8Array): Uint8Array | undefined;
  /** What the message has to say. */
  readonly facts: readonly string[];
}

const { shards, tokenizer } = await manifestOf(DEFAULT_PACK);
const place = (i: number): string => `shard ${i + 1} of ${shards.length}`;
const last = shards.length - 1;
const blob = objectName(tokenizer as PackedObject);
const bytesOf = (object: string): Promise<Uint8Array> => readFile(join(DEFAULT_PACK, object));

const random = seededNumbers(7);
const flips: Damage[] = [];
for (let n = 0; n < FLIPS; n++) {
  for (const [i, shard] of shards.entries()) {
    const bit = random(8 * shard.bytes);
    flips.push({
      what: `bit ${bit} of shard ${i + 1}`,
      object: objectName(shard),
      damage: (bytes) => flipBit(bytes, bit),
      facts: [place(i), shard.sha256, "SHA-256"],
    });
  }
  const bit = random(8 * (tokenizer as PackedObject).bytes);
  flips.push({
    what: `bit ${bit} of the tokenizer`,
    object: blob,
    damage: (bytes) => flipBit(bytes, bit),
    facts: [blob, "SHA-256"],
  });
}
const manifestBytes = (await bytesOf(MANIFEST_NAME)).length;
for (let n = 0; n < 8; n++) {
  const bit = random(8 * manifestBytes);
  flips.push({
    what: `bit ${bit} of the manifest`,
    object: MANIFEST_NAME,
    damage: (bytes) => flipBit(bytes, bit),
    facts: [MANIFEST_NAME],
  });
}

const cuts: Damage[] = [
  {
    what: "the last shard without its last byte",
    object: objectName(shards[last]),
    damage: (bytes) => bytes.subarray(0, bytes.length - 1),
    facts: [place(last), shards[last].sha256, `${shards[last].bytes - 1} bytes`],
  },
  {
    what: "an empty shard",
    object: objectName(shards[0]),
    damage: () => new Uint8Array(0),
    facts: [place(0), shards[0].sha256, "0 bytes"],
  },
  {
    what: "a shard with a byte too many",
    object: objectName(shards[1]),
    damage: (bytes) => Buffer.concat([bytes, Uint8Array.of(0)]),
    facts: [place(1), shards[1].sha256, `${shards[1].bytes + 1} bytes`],
  },
  {
    what: "a missing shard",
    object: objectName(shards[2]),
    damage: () => undefined,
    facts: [place(2), shards[2].sha256],
  },
  {
    what: "a missing tokenizer",
    object: blob,
    damage: () => undefined,
    facts: [blob],
  },
  {
    what: "a manifest cut off in the middle",
    object: MANIFEST_NAME,
    damage: (bytes) => bytes.subarray(0, bytes.length >> 1),
    facts: [MANIFEST_NAME, "JSON"],
  },
];

describe("pronk run refuses a pack with one line, and answers nothing", () => {
  test.each([...flips, ...cuts])("$what", async ({ object, damage, facts }) => {
    const copy = await linkedCopy(DEFAULT_PACK, "run");
    await replaceObject(copy, object, damage(await bytesOf(object)));
    const { code, out, err } = await runPronk(["run", copy, "--prompt", "One, two,"]);
    expect({ code, out }, err).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^pronk run: [^\n]+\n(?:next: [^\n]+\n)?$/);
    for (const fact of [copy, ...facts]) expect(err).toContain(fact);
  });
});

const thisNode = {
  program: process.execPath,
  args: [join(packageRoot(), "dist", "src", "cli", "main.js")],
};

async function serve(model: string): Promise<ChildServer> {
  const server = await startServer(thisNode, [model, "--slots", "1"]);
  onTestFinished(() => server.close());
  return server;
}

async function expectAnswer({ url, child }: ChildServer): Promise<void> {
  const answer = await (await ask(url)).json();
  expect(answer.choices?.[0].token_ids, JSON.stringify(answer)).toEqual(ANSWER_IDS);
  expect((await fetch(`${url}/health`)).status).toBe(200);
  expect(child.exitCode).toBeNull();
}

describe("pronk serve lives on without its model, says why, and answers once it is whole", () => {
  const [flipped] = flips;
  const flippedBlob = flips.find(({ object }) => object === blob) as Damage;
  const flippedManifest = flips.find(({ object }) => object === MANIFEST_NAME) as Damage;
  const [cut, , , missing] = cuts;

  test.each([flipped, flippedBlob, flippedManifest, cut, missing])("$what", async (damaged) => {
    const { object, damage, facts } = damaged;
    const copy = await linkedCopy(DEFAULT_PACK, "serve");
    const whole = await bytesOf(object);
    await replaceObject(copy, object, damage(whole));

    const server = await serve(copy);
    expect(server.output()).toMatch(/^pronk serve: [^\n]+ try again\n$/);
    for (const fact of facts) expect(server.output()).toContain(fact);
    await expectFailedHealth(server.url, facts);
    await expectRefused(server.url, facts);
    await expectFailedHealth(server.url, facts);

    await replaceObject(copy, object, whole);
    await expectAnswer(server);
  });

  test("a GGUF file that is cut off in its header", async () => {
    const folder = join(packageRoot(), ".cache", "e2e", "faults-serve-file");
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const path = join(folder, basename(MODEL_FILE));
    await writeFile(path, (await readFile(MODEL_FILE)).subarray(0, 763_493));
    const facts = [path, "metadata entry 26 of 33", "the file ends at 763493"];

    const server = await serve(path);
    await expectFailedHealth(server.url, facts);
    await expectRefused(server.url, facts);

    await rm(path);
    await symlink(MODEL_FILE, path);
    await expectAnswer(server);
  });
});

test("pronk serve ends when there is nothing that could be repaired", async () => {
  const wrong = [["./missing.gguf"], [DEFAULT_PACK, "--ctx", "9000000"]];
  for (const args of wrong) {
    const { code, err } = await runPronk(["serve", ...args, "--port", "0"]);
    expect(code).toBe(1);
    expect(err).toMatch(/^pronk serve: [^\n]+\n(?:next: [^\n]+\n)?$/);
  }
});
