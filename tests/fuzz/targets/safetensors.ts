/** safetensors, alone and in shards behind an index: each tensor that the header names is read. */
import { safetensorsCheckpointTensors } from "../../../src/checkpoints/hf-directory.ts";
import { readSafetensors } from "../../../src/formats/safetensors/read-safetensors.ts";
import { readShardedSafetensors } from "../../../src/formats/safetensors/read-sharded.ts";
import { writeSafetensors } from "../../../src/formats/safetensors/write-safetensors.ts";
import { storedTensor } from "../../../src/formats/stored-tensor.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import type { SourceFolder } from "../../../src/sources/source.ts";
import { memoryFolder } from "../../support/memory-folder.ts";
import { filesLayout, joinFiles, splitFiles } from "../files.ts";
import { readRows } from "../floats.ts";
import { readJson } from "../json-layout.ts";
import { layoutOf } from "../layout.ts";
import type { Random } from "../random.ts";
import { safetensorsLayout } from "../safetensors-layout.ts";
import type { FuzzTarget, Probe } from "../target.ts";

const INDEX = "model.safetensors.index.json";
const SINGLE = "model.safetensors";

async function written(names: readonly string[], seed: number): Promise<Uint8Array> {
  const folder = memoryFolder();
  const file = await folder.create("a");
  const shapes = [[2, 3], [4], [1, 2, 2], [0, 3], []];
  await writeSafetensors(
    file,
    names.map((name, i) => {
      const type = (["F32", "F16", "BF16"] as const)[(seed + i) % 3]!;
      const shape = shapes[i % shapes.length]!;
      const bytes = new Uint8Array(48).map((_, at) => at * 37 + seed);
      return storedTensor(name, type, shape, memorySource(bytes, name), 0);
    }),
  );
  await file.close();
  return folder.files.get("a")!;
}

async function seeds(): Promise<Uint8Array[]> {
  const single = await written(["model.embed.weight", "b.bias", "c.weight", "d", "e"], 1);
  const first = await written(["a.weight", "b.bias"], 2);
  const second = await written(["c.weight"], 3);
  const weight_map = {
    "a.weight": "1.safetensors",
    "b.bias": "1.safetensors",
    "c.weight": "2.safetensors",
  };
  const index = new TextEncoder().encode(
    JSON.stringify({ metadata: { total_size: 64 }, weight_map }),
  );
  return [
    joinFiles({ [SINGLE]: single }),
    joinFiles({ [INDEX]: index, "1.safetensors": first, "2.safetensors": second }),
  ];
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

const ELSEWHERE = [
  ..."../1.safetensors,/1.safetensors,a/1.safetensors,a\\1.safetensors,..,.,http://h/1.safetensors".split(
    ",",
  ),
  ..."3.safetensors,1.safetensors?x,1.safetensors\0,C:1.safetensors,1.SAFETENSORS, ".split(","),
  INDEX,
];

const ELEMENT: Readonly<Record<string, number>> = {
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  U8: 1,
  F8_E4M3: 1,
};

/** Other types, shapes and names, with offsets that fit again: what gets past every check of the index. */
function reshaped(input: Uint8Array, random: Random): Uint8Array {
  const files = splitFiles(input);
  const names = [...files.keys()].filter((name) => name.endsWith(".safetensors"));
  if (names.length === 0) return input;
  const name = random.pick(names);
  const bytes = files.get(name)!;
  let header: Record<string, Entry>;
  try {
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    for (const key of Object.keys(header)) if (random.chance(0.05)) delete header[key];
    let end = 0;
    for (const entry of Object.values(header)) {
      if (!Array.isArray(entry.shape)) continue;
      if (random.chance(0.4)) entry.dtype = random.pick(Object.keys(ELEMENT));
      if (random.chance(0.4)) {
        entry.shape = Array.from({ length: random.below(4) }, () => random.pick([0, 1, 2, 3, 5]));
      }
      const count = entry.shape.reduce((product, dim) => product * dim, ELEMENT[entry.dtype] ?? 1);
      entry.data_offsets = [end, end + count];
      end += count;
    }
    const json = new TextEncoder().encode(JSON.stringify(header));
    if (!(end < 1 << 15)) return input;
    const next = new Uint8Array(8 + json.length + end);
    new DataView(next.buffer).setUint32(0, json.length, true);
    next.set(json, 8);
    next.set(bytes.subarray(-Math.min(bytes.length, end)), 8 + json.length);
    files.set(name, next);
  } catch {
    return input;
  }
  return joinFiles(files);
}

/** Other files behind the names of an index. */
function remapped(input: Uint8Array, random: Random): Uint8Array {
  const files = splitFiles(input);
  const text = new TextDecoder().decode(files.get(INDEX));
  const found = [...text.matchAll(/"[^"]*\.safetensors"/g)];
  if (found.length === 0) return input;
  const { index, 0: whole } = random.pick(found);
  const name = JSON.stringify(random.pick(ELSEWHERE));
  const next = text.slice(0, index) + name + text.slice(index + whole.length);
  return joinFiles(new Map(files).set(INDEX, new TextEncoder().encode(next)));
}

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  const files = splitFiles(input);
  const memory = memoryFolder();
  for (const [name, bytes] of files) memory.files.set(name, bytes);
  const folder: SourceFolder = {
    name: "fuzz",
    open(name) {
      if (/[/\\]|^\.\.?$/.test(name)) throw new Error(`asked for ${name}`);
      return memory.open(name);
    },
  };
  const sharded = files.has(INDEX);
  const first = files.get(sharded ? INDEX : SINGLE);
  // Of a header's length, or of JSON.
  if (first && (sharded ? first[0] === 0x7b : first.length > 8 && first[8] === 0x7b))
    probe.pastHeader();
  const entries = sharded
    ? await readShardedSafetensors(folder, INDEX)
    : await readSafetensors(await folder.open(SINGLE));
  for (const { dtype, shape } of entries.values())
    probe.saw(`${dtype} ${shape.length} ${shape.includes(0)}`);
  const tensors = safetensorsCheckpointTensors(entries);
  for (const tensor of tensors.values()) await readRows(tensor);
}

export const target: FuzzTarget = {
  seeds,
  layout: (input) =>
    filesLayout(input, (name, bytes) =>
      name === INDEX ? layoutOf(bytes, (reader) => readJson(reader)) : safetensorsLayout(bytes),
    ),
  words: [
    "F32",
    "F16",
    "BF16",
    "F64",
    "BOOL",
    "F4",
    "dtype",
    "shape",
    "data_offsets",
    "__metadata__",
    "../1.safetensors",
    "1.safetensors",
    "a.weight",
    "weight_map",
  ],
  edits: [reshaped, remapped],
  run,
  planted: {
    name: "an index may name files elsewhere",
    file: "src/formats/safetensors/read-sharded.ts",
    find: "!/^[\\w][\\w.-]*$/.test(shard)",
    replace: 'shard === ""',
  },
};
