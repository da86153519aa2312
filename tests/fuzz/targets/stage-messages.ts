/**
 * What a front and a stage send each other: read as both sides do, and answered by stages of a model in their own
 * memories. Nothing traps a kernel, no session keeps a slot, and what is asked after it is answered as before.
 */
import { readFileSync } from "node:fs";
import { loadStage, planOf } from "../../../src/engine/load-stage.ts";
import { openPack } from "../../../src/engine/open-pack.ts";
import { packModel } from "../../../src/engine/pack-model.ts";
import type { Runtime } from "../../../src/engine/runtime.ts";
import { PronkError } from "../../../src/errors.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import type { StageRequest } from "../../../src/stages/stage.ts";
import { decodeFrame } from "../../../src/stages/stage-frames.ts";
import { keepLoaded, StageHost } from "../../../src/stages/stage-host.ts";
import {
  decodeMessage,
  decodeOpened,
  decodeReply,
  encodeFailure,
  encodeMessage,
  encodeReply,
} from "../../../src/stages/stage-messages.ts";
import { planStages } from "../../../src/stages/stage-plan.ts";
import { parseStageSpec, stageSpec } from "../../../src/stages/stage-spec.ts";
import { memoryFolder } from "../../unit/pack/memory-folder.ts";
import { readJson } from "../json-layout.ts";
import { type Layout, layoutOf } from "../layout.ts";
import type { Random } from "../random.ts";
import type { FuzzTarget, Probe } from "../target.ts";

const MODEL = "tokenizers/tok_bpe.gguf";
const SIZES = { ctx: 64, slots: 2, maxRows: 16, maxLogits: 5, kv: "int16" } as const;
const COUNT = 3;

const runtime: Runtime = {
  kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
  yieldTask: () => new Promise((resolve) => setImmediate(resolve)),
  now: () => performance.now(),
  wallClock: () => 1_700_000_000_500,
  randomSeed: () => 1,
};

interface Hosted {
  readonly host: StageHost;
  readonly fingerprint: string;
  /** Of the request that is asked again and again. */
  readonly expected: Uint8Array;
  readonly opened: Uint8Array;
}

let hosted: Promise<readonly Hosted[]> | undefined;
const WIDTH = 32;

/** Rows of what comes before the stage, the same every time. */
function rowsOf(width: number, rows: number): Float32Array {
  return Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i));
}

async function load(): Promise<readonly Hosted[]> {
  const source = memorySource(new Uint8Array(readFileSync(`tests/goldens/${MODEL}`)), MODEL);
  const pack = memoryFolder("pack");
  await packModel({ gguf: [source] }, pack, { shardBytes: 64 * 1024 });
  const model = await openPack(pack);
  const plan = planOf(model);
  const { stages } = planStages({ plan, tensors: model.tensors }, SIZES, {
    stageBytes: 1e9,
    count: COUNT,
  });
  return Promise.all(
    stages.map(async (stage) => {
      const spec = parseStageSpec(JSON.stringify(stageSpec(stage, SIZES)));
      const get = keepLoaded(() => loadStage(pack, spec, runtime));
      const { fingerprint, stage: own } = await get();
      const host = new StageHost(get);
      const width = own.info.width;
      const session = host.connect();
      const opened = await session.answer(encodeMessage({ do: "open", slots: 0, fingerprint }));
      const expected = await session.answer(encodeMessage(usual(own.info.part, width)));
      session.close();
      decodeReply(expected);
      return { host, fingerprint, expected, opened };
    }),
  );
}

type Part = {
  embedding: { from: number; to: number };
  layers: { from: number; to: number };
  head: { from: number; to: number };
};

/** A run that the part of the model can do. */
function usual(
  { embedding, layers, head }: Part,
  width: number,
): Parameters<typeof encodeMessage>[0] {
  const rows = 4;
  const hasLayers = layers.to > layers.from;
  const request: StageRequest = {
    rows,
    ...(embedding.to > embedding.from
      ? { ids: Int32Array.from({ length: rows }, (_, i) => embedding.from + i) }
      : hasLayers && { x: rowsOf(width, rows) }),
    ...(hasLayers && {
      spans: [
        { slot: 0, start: 0, count: 2 },
        { slot: 1, start: 0, count: 2 },
      ],
    }),
    wanted: [1, 3],
    ...(head.to > head.from && !hasLayers && { states: rowsOf(width, 2) }),
    head: head.to > head.from ? "logits" : "none",
  };
  return { do: "run", copies: [], request };
}

async function seeds(): Promise<readonly Uint8Array[]> {
  hosted ??= load();
  const all = await hosted;
  const parts = all.map(({ opened }) => decodeOpened(opened));
  return [
    encodeMessage({ do: "open", slots: 1, fingerprint: all[0]!.fingerprint }),
    encodeMessage({ do: "ping" }),
    ...parts.map(({ part, width }) => encodeMessage(usual(part, width))),
    encodeMessage({
      do: "run",
      copies: [{ from: 0, to: 1, positions: 8 }],
      request: {
        rows: 3,
        x: rowsOf(parts[0]!.width, 3),
        ids: Int32Array.of(-1, 1, 2),
        spans: [{ slot: 1, start: 8, count: 3, length: 20, positions: [8, 9, 9] }],
        wanted: [2],
        head: "argmax",
      },
    }),
    encodeReply({
      x: rowsOf(WIDTH, 2),
      best: { ids: Int32Array.of(1, 2), values: Float32Array.of(0.5, 1) },
    }),
    encodeFailure(new PronkError("overloaded", "stage: full", { retryAfterMs: 5 })),
    all[0]!.opened,
    all[0]!.expected,
  ];
}

function layout(input: Uint8Array): Layout {
  return layoutOf(input, (reader) => {
    const { field, value } = reader.number("le", 4);
    const start = reader.at;
    reader.layout.extent(field, start, start + value);
    readJson(reader);
    reader.skip("bytes", start + value - reader.at);
    while (reader.at + 4 <= input.length && reader.at < 4096) reader.skip("float", 4);
  });
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The head anew, with numbers of the frame behind it: as an honest sender would lay it out. */
function editHead(input: Uint8Array, random: Random): Uint8Array {
  try {
    const bytes = new DataView(input.buffer, input.byteOffset).getUint32(0, true);
    const head = JSON.parse(decoder.decode(input.subarray(4, 4 + bytes)));
    const count = (): number =>
      random.pick([0, 1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 128, 2 ** 24, 2 ** 31, -1, 1.5]);
    const span = (): object => ({
      ...{ slot: random.below(4), start: count(), count: random.pick([0, 1, 2, 4, 16]) },
      ...(random.chance(0.3) && { length: count() }),
      ...(random.chance(0.3) && { positions: Array.from({ length: random.below(6) }, count) }),
    });
    random.pick<() => void>([
      () => (head.rows = count()),
      () =>
        (head.wanted = Array.from({ length: random.below(8) }, (_, i) =>
          random.chance(0.8) ? i : count(),
        )),
      () => (head.spans = Array.from({ length: random.below(4) }, span)),
      () =>
        (head.ids = Array.from({ length: random.pick([0, 1, 3, 4, 17]) }, () =>
          random.pick([-1, 0, 1, 255, 1255, 1256, 4000]),
        )),
      () =>
        (head.copies = Array.from({ length: random.below(4) }, () => [
          random.below(3),
          random.below(3),
          count(),
        ])),
      () => (head.head = random.pick(["none", "logits", "argmax", "x"])),
      () => (head.do = random.pick(["run", "open", "ping", "close"])),
      () => (head.did = random.pick(["run", "open", "fail", "ping"])),
      () => (head.code = random.pick(["unavailable", "__proto__", "overloaded", 5])),
      () => (head.message = random.pick(["a".repeat(9000), "", "\u001b[2J", 5])),
    ])();
    // As many numbers as its rows need.
    const width = random.pick([WIDTH, WIDTH, 1, 0]);
    const name = random.pick(["x", "states", "logits", "values", "__proto__"]);
    const length = Math.min(
      4096,
      Math.max(0, Math.trunc(Number(random.chance(0.5) ? head.rows : head.wanted?.length) || 0)) *
        width,
    );
    if (random.chance(0.4)) head.numbers = [[name, length]];
    const total = (Array.isArray(head.numbers) ? head.numbers : []).reduce(
      (sum: number, [, one]: [string, number]) => sum + (Number.isInteger(one) ? one : 0),
      0,
    );
    const text = encoder.encode(JSON.stringify(head));
    const start = 4 + Math.ceil(text.length / 4) * 4;
    const frame = new Uint8Array(start + 4 * Math.min(8192, Math.max(0, total))).fill(
      0x20,
      0,
      start,
    );
    new DataView(frame.buffer).setUint32(0, start - 4, true);
    frame.set(text, 4);
    return frame;
  } catch {
    return input;
  }
}

/** What one side makes of a frame; refused: undefined. */
function read<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof PronkError)) throw error;
    return undefined;
  }
}

let count = 0;
const CHECK_EVERY = 16;

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  hosted ??= load();
  const all = await hosted;
  const at = count++ % COUNT;
  const { host, fingerprint, expected } = all[at]!;
  const frame = read(() => decodeFrame(input));
  if (frame) probe.pastHeader();
  const reads = [read(() => decodeReply(input)), read(() => decodeOpened(input))];
  for (const [i, one] of reads.entries()) if (one) probe.saw(`answer ${i} ${Object.keys(one)}`);
  const message = read(() => decodeMessage(input));

  const session = host.connect();
  if (message?.do !== "open")
    await session.answer(encodeMessage({ do: "open", slots: 0, fingerprint }));
  const answer = await session.answer(input);
  session.close();
  if (host.sessions !== 0) throw new Error(`${host.sessions} sessions are left`);
  const failure = read(() => decodeReply(answer)) ? undefined : failureOf(answer);
  if (failure) probe.saw(`refused ${failure.code} ${failure.message.replace(/[\d.]+/g, "#")}`);
  else probe.saw(`${message?.do} ${at}`);
  // A frame that no honest front sends may not end the stage.
  if (failure?.code === "engine_failed") throw new Error(`stage ${at}: ${failure.message}`);
  if (count % CHECK_EVERY < COUNT) {
    const again = host.connect();
    const opened = decodeOpened(
      await again.answer(encodeMessage({ do: "open", slots: 0, fingerprint })),
    );
    const found = await again.answer(encodeMessage(usual(opened.part, opened.width)));
    again.close();
    if (Buffer.compare(found, expected) !== 0)
      throw new Error(`stage ${at}: another answer than before`);
  }
  if (!frame && failure) throw new PronkError("bad_request", failure.message);
}

function failureOf(answer: Uint8Array): PronkError | undefined {
  try {
    decodeReply(answer);
  } catch (error) {
    // An answer to `open` or `ping` is none to `run`.
    if (error instanceof PronkError && !error.message.includes("an answer to")) return error;
  }
  return undefined;
}

export const target: FuzzTarget = {
  seeds,
  layout,
  words: [
    "run",
    "open",
    "ping",
    "fail",
    "x",
    "states",
    "numbers",
    "wanted",
    "spans",
    "argmax",
    "logits",
    "__proto__",
  ],
  edits: [editHead],
  run,
  planted: {
    name: "states may come with other numbers than they have",
    file: "src/stages/wasm-stage.ts",
    find: "if (states && states.length !== wanted.length * width) {",
    replace: "if (states && states.length > 1e9) {",
  },
};
