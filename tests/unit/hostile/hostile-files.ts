/** Files that attack, as models that a user would open: each with the reason that it has to be refused with. */
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  bytesOf,
  type Code,
  dict,
  int,
  pickle,
  repeat,
  tensor,
  text,
  zip,
} from "../formats/torch/torch-writer.ts";
import { SNAPSHOTS } from "./hostile-snapshots.ts";
import type { Way } from "./open-child.ts";

export interface Hostile {
  readonly name: string;
  readonly way: Way;
  /** Writes it; the path may become a file or a directory. */
  readonly write: (path: string) => void;
  readonly code: string;
  readonly reason: RegExp;
}

const goldens = fileURLToPath(new URL("../../goldens", import.meta.url));
const CONFIG = JSON.parse(readFileSync(join(goldens, "models/gqa/config.json"), "utf8"));

/** So deep that what walks it by recursion overflows its stack. */
const DEEP = 400_000;
const deepJson = (inside = "1"): string => "[".repeat(DEEP) + inside + "]".repeat(DEEP);

type Content = string | Uint8Array;

/** A directory with the weights and tokenizer of a small model, and these files in their places. */
function model(files: Readonly<Record<string, Content | null>>): (path: string) => void {
  return (path) => {
    mkdirSync(path, { recursive: true });
    cpSync(join(goldens, "models/gqa/config.json"), join(path, "config.json"));
    cpSync(join(goldens, "models/gqa/model.safetensors"), join(path, "model.safetensors"));
    cpSync(join(goldens, "tokenizers/llama2_sp/fast"), path, { recursive: true });
    for (const [name, content] of Object.entries(files)) {
      if (content === null) rmSync(join(path, name));
      else writeFileSync(join(path, name), content);
    }
  };
}

const config =
  (fields: object): (() => Content) =>
  () =>
    JSON.stringify({ ...CONFIG, ...fields });
const file =
  (content: () => Content) =>
  (path: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content());
  };

function safetensors(header: string, dataBytes = 0): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const torch = (...code: Code[]): Uint8Array =>
  zip([
    { name: "m/data.pkl", bytes: pickle(...code) },
    { name: "m/data/0", bytes: new Uint8Array(24) },
  ]);
const bin = (content: Uint8Array) =>
  model({ "model.safetensors": null, "pytorch_model.bin": content });
const index = (map: object) =>
  model({
    "model.safetensors": null,
    "model.safetensors.index.json": JSON.stringify({ weight_map: map }),
  });
const flax = (content: Uint8Array) =>
  model({ "model.safetensors": null, "flax_model.msgpack": content });

const matrix = tensor({ elements: 6, shape: [2, 3], strides: [3, 1] });

const JSONS: Hostile[] = [
  ...["config.json", "generation_config.json"].map(
    (name): Hostile => ({
      name: `${name} that nests without an end in sight`,
      way: "model",
      write: model({ [name]: `{"x": ${deepJson()}, ${JSON.stringify(CONFIG).slice(1)}` }),
      code: "bad_format",
      reason: /nested deeper than/,
    }),
  ),
  {
    name: "config.json whose unknown field would be copied",
    way: "copy",
    write: model({ "config.json": `{"x": ${deepJson()}, ${JSON.stringify(CONFIG).slice(1)}` }),
    code: "bad_format",
    reason: /nested deeper than/,
  },
  {
    name: "config.json of 60 MB of brackets",
    way: "config",
    write: model({ "config.json": "[".repeat(60e6) }),
    code: "bad_format",
    reason: /nested deeper than/,
  },
  {
    name: "config.json of 80 MB",
    way: "config",
    write: model({ "config.json": " ".repeat(80e6) }),
    code: "bad_format",
    reason: /80000000 bytes/,
  },
  ...["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"].map(
    (name): Hostile => ({
      name: `${name} that nests`,
      way: "tokenizer",
      write: model({ [name]: `{"x": ${deepJson()}}` }),
      code: "bad_format",
      reason: /nested deeper than/,
    }),
  ),
  {
    name: "tokenizer.json that nests",
    way: "tokenizer",
    write: model({ "tokenizer.json": `{"normalizer": ${deepJson()}, "model": {"type": "BPE"}}` }),
    code: "bad_format",
    reason: /tokenizer/,
  },
  {
    name: "an index that nests",
    way: "model",
    write: model({
      "model.safetensors": null,
      "model.safetensors.index.json": `{"weight_map": {"a": ${deepJson()}}}`,
    }),
    code: "bad_format",
    reason: /nested deeper than|is not a file name/,
  },
  ...(
    [
      ["hidden_size", 2 ** 53],
      ["hidden_size", 1e308],
      ["vocab_size", 4_294_967_296],
      ["num_hidden_layers", 1e9],
      ["num_attention_heads", -4],
      ["num_key_value_heads", 0],
      ["head_dim", 1e9],
      ["max_position_embeddings", 1e15],
      ["intermediate_size", "172"],
      ["rms_norm_eps", -1],
      ["rope_theta", 0],
      ["pretraining_tp", 1e9],
    ] as const
  ).map(
    ([field, value]): Hostile => ({
      name: `config.json with ${field} ${value}`,
      way: "model",
      write: model({ "config.json": config({ [field]: value })() }),
      code: "bad_format|unsupported",
      reason: new RegExp(field),
    }),
  ),
  {
    name: "config.json with a field twice, of which the last is absurd",
    way: "model",
    write: model({
      "config.json": `${JSON.stringify(CONFIG).slice(0, -1)}, "hidden_size": 1e12}`,
    }),
    code: "bad_format",
    reason: /hidden_size: 1000000000000 is over the limit/,
  },
];

const INDEXES: Hostile[] = [
  ...[
    "../../../../etc/passwd",
    "/etc/passwd",
    "..\\secret",
    "a/b",
    ".",
    "..",
    "",
    "x\0y",
    "C:x",
  ].map(
    (shard): Hostile => ({
      name: `an index that names ${JSON.stringify(shard)}`,
      way: "model",
      write: index({ "model.norm.weight": shard }),
      code: "bad_format",
      reason: /is not a file name/,
    }),
  ),
  {
    name: "an index of 5,000 shards",
    way: "model",
    write: index(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`t${i}`, `s${i}`]))),
    code: "bad_format",
    reason: /5000 shards/,
  },
  {
    name: "an index that names a shard which is a directory",
    way: "model",
    write: (path) => {
      index({ "model.norm.weight": "shard.safetensors" })(path);
      mkdirSync(join(path, "shard.safetensors"));
    },
    code: "not_found",
    reason: /shard\.safetensors: not a file/,
  },
  {
    name: "weights that are a link to themselves",
    way: "model",
    write: (path) => {
      model({ "model.safetensors": null })(path);
      symlinkSync("model.safetensors", join(path, "model.safetensors"));
    },
    code: "source_failed",
    reason: /ELOOP/,
  },
  {
    name: "weights that are a device without an end",
    way: "model",
    write: (path) => {
      model({ "model.safetensors": null })(path);
      symlinkSync("/dev/zero", join(path, "model.safetensors"));
    },
    code: "not_found",
    reason: /not a file|no weights|model\.safetensors/,
  },
];

const entry = (range: string, shape = "[3,2]"): string =>
  `{"dtype":"F16","shape":${shape},"data_offsets":${range}}`;
const SAFETENSORS: Hostile[] = (
  [
    [
      "tensors that overlap",
      safetensors(`{"a":${entry("[0,12]")},"b":${entry("[6,18]")}}`, 18),
      /overlaps/,
    ],
    [
      "a range of 2^53 bytes",
      safetensors(`{"a":${entry("[0,9007199254740991]", "[4503599627370495]")}}`),
      /larger than any file|has not|bytes up to/,
    ],
    ["a range beyond its end", safetensors(`{"a":${entry("[0,12]")}}`, 11), /bytes up to/],
    [
      "a name twice, in two places",
      safetensors(`{"a":${entry("[0,12]")},"a":${entry("[12,24]")}}`, 24),
      /leaves a gap/,
    ],
    ["a header that nests", safetensors(`{"a":${deepJson()}}`), /nested deeper than/],
    ["a header of 15 MB of brackets", safetensors("[".repeat(15e6)), /nested deeper than/],
    [
      "a header of a million entries",
      safetensors(`{${Array.from({ length: 1e6 }, (_, i) => `"${i}":0`).join()}}`),
      /more than 600000 values/,
    ],
    [
      "a header of five million lists",
      safetensors(`{"a":[${"[],".repeat(5e6)}[]]}`),
      /more than 600000 values/,
    ],
  ] as const
).map(([name, bytes, reason]) => ({
  name: `safetensors with ${name}`,
  way: "model" as const,
  write: model({ "model.safetensors": bytes }),
  code: "bad_format",
  reason,
}));

/** A tuple of one value twice, 30 times, through the memo: 2^30 paths in 150 bytes. */
const doubling: Code = ["N", Array.from({ length: 30 }, (_, i) => ["q", i, "h", i, 0x86])];

const PICKLES: Hostile[] = (
  [
    [
      "that calls os.system by REDUCE",
      torch("cposix\nsystem\n", text("id"), 0x85, "R"),
      "unsupported",
      /posix\.system/,
    ],
    ["that calls it by INST", torch("(", text("id"), "ios\nsystem\n"), "unsupported", /os\.system/],
    ["that calls it by OBJ", torch("(cos\nsystem\n", text("id"), "o"), "unsupported", /os\.system/],
    [
      "that calls it by NEWOBJ",
      torch("csubprocess\nPopen\n", text("id"), 0x85, 0x81),
      "unsupported",
      /subprocess\.Popen/,
    ],
    [
      "that calls it by NEWOBJ_EX",
      torch("csubprocess\nPopen\n", text("id"), 0x85, "}", 0x92),
      "unsupported",
      /subprocess\.Popen/,
    ],
    [
      "that names it on the stack",
      torch(text("builtins"), text("exec"), 0x93, text("1"), 0x85, "R"),
      "unsupported",
      /builtins\.exec/,
    ],
    [
      "that names it through the memo",
      torch(text("os"), "q", 1, "0", text("system"), "q", 2, "0h", 1, "h", 2, 0x93),
      "unsupported",
      /os\.system/,
    ],
    [
      "that sets a state",
      torch("ccollections\nOrderedDict\n)R", dict(text("__setstate__"), int(1)), "b"),
      "unsupported",
      /BUILD/,
    ],
    [
      "that reduces to a tensor of its own class",
      torch("ctorch._tensor\n_rebuild_from_type_v2\n)R"),
      "unsupported",
      /_rebuild_from_type_v2/,
    ],
    ["that imports by a registered extension", torch(0x82, 1), "unsupported", /EXT1/],
    ["that imports by a long extension", torch(0x84, [1, 0, 0, 0]), "unsupported", /EXT4/],
    ["that names numpy's reader of files", torch("cnumpy\nload\n"), "unsupported", /numpy\.load/],
    [
      "that names what pickles call pickles by",
      torch("c_pickle\nloads\n"),
      "unsupported",
      /_pickle\.loads/,
    ],
    [
      "that has a frame of 2^63 bytes",
      torch(0x95, [0, 0, 0, 0, 0, 0, 0, 0x80], "N"),
      "bad_format|unsupported",
      /pytorch_model\.bin/,
    ],
    [
      "that keeps a value under memo 4,294,967,295",
      torch("]r", [255, 255, 255, 255]),
      "bad_format",
      /holds no state dict|memo/,
    ],
    ["whose parts are shared 2^30 times", torch(doubling), "bad_format", /state dict|nest/],
    [
      "whose tensor's name is shared 2^30 times",
      torch("}(", doubling, matrix, "u"),
      "bad_format|unsupported",
      /key|nest/,
    ],
    [
      "whose tensor is shared 2^30 times",
      torch("}(", text("w"), doubling, "u"),
      "bad_format",
      /w: not a tensor/,
    ],
    [
      "that is a zip in a zip",
      zip([{ name: "m/data.pkl", bytes: zip([{ name: "m/data.pkl", bytes: pickle("N") }]) }]),
      "bad_format|unsupported",
      /opcode|PERSID|protocol|pickle/,
    ],
    ["of a million dicts", torch(repeat("}0", 1_000_000)), "bad_format", /operations/],
    ["of 100,000 tuples in tuples", torch("N", repeat(0x85, 100_000)), "bad_format", /nest deeper/],
  ] as const
).map(([name, bytes, code, reason]) => ({
  name: `a pickle ${name}`,
  way: "model" as const,
  write: bin(bytes),
  code,
  reason,
}));

const FLAXES: Hostile[] = (
  [
    ["maps in maps, 100,000 deep", bytesOf(repeat([0x81, 0xa1, "a"], 100_000)), /deep|nest/],
    ["a map of 2^32 - 1 entries", bytesOf(0xdf, [255, 255, 255, 255]), /flax_model/],
    [
      "a list of 2^32 - 1 items",
      bytesOf(0x81, 0xa1, "a", 0xdd, [255, 255, 255, 255]),
      /flax_model/,
    ],
    ["a text of 4 GB", bytesOf(0x81, 0xdb, [255, 255, 255, 255]), /flax_model/],
    ["an array of 4 GB", bytesOf(0x81, 0xa1, "a", 0xc9, [255, 255, 255, 255], 1), /flax_model/],
    ["bytes of 4 GB", bytesOf(0x81, 0xa1, "a", 0xc6, [255, 255, 255, 255]), /flax_model/],
  ] as const
).map(([name, bytes, reason]) => ({
  name: `msgpack with ${name}`,
  way: "model" as const,
  write: flax(bytes),
  code: "bad_format|unsupported",
  reason,
}));

/** u64, least byte first. */
const u64 = (n: bigint): number[] =>
  Array.from({ length: 8 }, (_, i) => Number((n >> BigInt(8 * i)) & 255n));
const gguf =
  (...code: Code[]): (() => Content) =>
  () =>
    bytesOf("GGUF", [3, 0, 0, 0], ...code);
const key = (name: string): Code => [u64(BigInt(name.length)), name];
const GGUFS: Hostile[] = (
  [
    ["2^63 tensors", gguf(u64(2n ** 63n), u64(0n))],
    ["-1 entries", gguf(u64(0n), u64(2n ** 64n - 1n))],
    ["a key of 2^63 bytes", gguf(u64(0n), u64(1n), u64(2n ** 63n))],
    ["a text of 2^40 bytes", gguf(u64(0n), u64(1n), key("a"), [8, 0, 0, 0], u64(2n ** 40n))],
    [
      "a list of 2^62 numbers",
      gguf(u64(0n), u64(1n), key("a"), [9, 0, 0, 0, 4, 0, 0, 0], u64(2n ** 62n)),
    ],
    [
      "a list of 16 million texts",
      gguf(u64(0n), u64(1n), key("a"), [9, 0, 0, 0, 8, 0, 0, 0], u64(16_000_000n)),
    ],
    ["lists of lists", gguf(u64(0n), u64(1n), key("a"), repeat([9, 0, 0, 0], 100_000))],
    [
      "dimensions that overflow",
      gguf(
        u64(1n),
        u64(0n),
        key("w"),
        [4, 0, 0, 0],
        u64(2n ** 40n),
        u64(2n ** 40n),
        u64(2n),
        u64(2n),
        [0, 0, 0, 0],
        u64(0n),
      ),
    ],
    [
      "an offset of -32",
      gguf(u64(1n), u64(0n), key("w"), [1, 0, 0, 0], u64(1n), [0, 0, 0, 0], u64(2n ** 64n - 32n)),
    ],
    [
      "an offset beyond its end",
      gguf(u64(1n), u64(0n), key("w"), [1, 0, 0, 0], u64(1n), [0, 0, 0, 0], u64(2n ** 40n)),
    ],
  ] as const
).map(([name, content]) => ({
  name: `GGUF with ${name}`,
  way: "model" as const,
  write: file(content),
  code: "bad_format|unsupported",
  reason: /\.gguf/,
}));

const laughs = `a0: &a0 [x,x,x,x,x,x,x,x,x]\n${Array.from(
  { length: 12 },
  (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(",")}]`,
).join("\n")}`;
const YAMLS: Hostile[] = (
  [
    ["a billion laughs", laughs, /alias/],
    [
      "a billion laughs of merged keys",
      laughs.replace(/\[(\*[^\]]*)\]/g, "{<<: [$1]}"),
      /alias|merge/i,
    ],
    ["an alias of itself", "a: &a [*a]", /inside itself/],
    ["100,000 brackets", "[".repeat(100_000), /nested deeper/],
    ["100,000 lists in a line", "- ".repeat(100_000), /nested deeper/],
    ["a text of a megabyte", `name: ${"x".repeat(1e6)}`, /characters/],
    [
      "20,000 anchors",
      Array.from({ length: 20_000 }, (_, i) => `- &a${i} 1`).join("\n"),
      /entries/,
    ],
    [
      "a tag that would make an object",
      "name: !!python/object/apply:os.system [id]",
      /has no name|tag/i,
    ],
  ] as const
).map(([name, content, reason]) => ({
  name: `YAML with ${name}`,
  way: "cards" as const,
  write: file(() => content),
  code: "bad_format",
  reason,
}));

export const HOSTILE: readonly Hostile[] = [
  ...JSONS,
  ...INDEXES,
  ...SAFETENSORS,
  ...PICKLES,
  ...FLAXES,
  ...GGUFS,
  ...YAMLS,
  ...SNAPSHOTS,
];
