/** A pack: manifest, shards, tokenizer and releases; its weights are loaded, unpacked and copied. */
import { createHash } from "node:crypto";
import { parseLlamaConfig } from "../../../src/model/config.ts";
import { copyPack } from "../../../src/pack/copy-pack.ts";
import { loadBlob, loadWeights, readManifest } from "../../../src/pack/loader.ts";
import { MANIFEST_NAME, type Manifest, type PackedObject } from "../../../src/pack/manifest.ts";
import { packRelease, releaseName } from "../../../src/pack/release.ts";
import { parseSiteModels } from "../../../src/pack/site-models.ts";
import { unpackRow } from "../../../src/pack/unpack-row.ts";
import { writePack } from "../../../src/pack/write-pack.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import { memoryFolder } from "../../unit/pack/memory-folder.ts";
import { bf16Tensor, f32Tensor, randomWeights } from "../../unit/pack/sample-tensors.ts";
import { sentencePieceMetadata } from "../../unit/tokenizers/vocabularies.ts";
import { filesLayout, joinFiles, splitFiles } from "../files.ts";
import { readJson } from "../json-layout.ts";
import { layoutOf } from "../layout.ts";
import type { Random } from "../random.ts";
import type { FuzzTarget, Probe } from "../target.ts";
import { tokenize } from "../tokenize.ts";
import { usable } from "../usable.ts";

const CONFIG = {
  model_type: "llama",
  vocab_size: 16,
  hidden_size: 32,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_position_embeddings: 64,
};

/** A user looks at the manifest's bytes before memory is made for them. */
const MAX_IMAGE = 1 << 20;

const SITE = "models.json";
const HEX = /^[0-9a-f]{64}$/;

async function seeds(): Promise<Uint8Array[]> {
  const folder = memoryFolder("fuzz");
  const manifest = await writePack({
    entries: [
      {
        name: "model.embed_tokens.weight",
        tensor: f32Tensor("e", [16, 32], randomWeights(512, 1)),
        form: "q8",
      },
      {
        name: "model.norm.weight",
        tensor: f32Tensor("n", [9], randomWeights(9, 2)),
        form: "vector",
      },
      { name: "a.weight", tensor: bf16Tensor("a", [3, 32], randomWeights(96, 3)), form: "q4m" },
      { name: "b.weight", tensor: bf16Tensor("b", [3, 8], randomWeights(24, 4)), form: "bf16" },
    ],
    manifest: {
      name: "tiny",
      license: null,
      config: CONFIG,
      generation_config: { eos_token_id: [2] },
      chat_template: null,
      quantization: { requested: "auto", profile: "default", kv: "int16" },
      source: { name: "tiny.gguf", bytes: 5, sha256: null },
    },
    tokenizer: compileTokenizer(
      sentencePieceMetadata({
        pieces: [
          ["\u2581", -1],
          ["a", -2],
        ],
        bytes: false,
      }),
    ),
    target: folder,
    shardBytes: 512,
  });
  const site = {
    models: [
      { id: "tiny", folder: "models/tiny", bytes: 5, checksum: manifest.checksum, license: null },
    ],
  };
  const siteBytes = new TextEncoder().encode(JSON.stringify(site));
  const plain = joinFiles(folder.objects);
  const released = new Map(folder.objects);
  released.set(releaseName(manifest.checksum!), released.get(MANIFEST_NAME)!);
  released.set(MANIFEST_NAME, new TextEncoder().encode("{}"));
  return [plain, joinFiles(released), joinFiles(new Map([...folder.objects, [SITE, siteBytes]]))];
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Shards named by what they hold again, and the manifest's checksum: else every edit would end at a hash. */
function resealed(input: Uint8Array, random: Random): Uint8Array {
  if (random.chance(0.15)) return input;
  const files = splitFiles(input);
  const names = [...files.keys()].filter(
    (name) => name === MANIFEST_NAME || name.startsWith("releases/"),
  );
  try {
    for (const name of names) {
      const manifest: Manifest = JSON.parse(new TextDecoder().decode(files.get(name)!));
      const objects = [...(manifest.shards ?? []), manifest.tokenizer].filter(
        (o) => o !== null,
      ) as { -readonly [K in keyof PackedObject]: PackedObject[K] }[];
      const fits = random.chance(0.7);
      for (const object of objects) {
        const old = `${object.sha256}.bin`;
        const bytes = files.get(old);
        if (!bytes) continue;
        object.sha256 = sha256(bytes);
        if (fits) object.bytes = bytes.length;
        files.set(`${object.sha256}.bin`, bytes);
        if (old !== `${object.sha256}.bin`) files.delete(old);
      }
      const { checksum: _, ...content } = manifest;
      const checksum = sha256(new TextEncoder().encode(JSON.stringify(content)));
      const text = new TextEncoder().encode(JSON.stringify({ ...content, checksum }));
      files.delete(name);
      files.set(name === MANIFEST_NAME ? name : releaseName(checksum), text);
    }
  } catch {
    return input;
  }
  return joinFiles(files);
}

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  const files = splitFiles(input);
  const folder = memoryFolder("fuzz");
  for (const [name, bytes] of files) folder.objects.set(name, bytes);
  const site = files.get(SITE);
  if (site) probe.saw(parseSiteModels(new TextDecoder().decode(site), "https://a.example/").length);
  const release = [...files.keys()].find((name) => name.startsWith("releases/"));
  const checksum = release?.slice("releases/".length, -".json".length);
  const pack = packRelease(folder, checksum && HEX.test(checksum) ? checksum : undefined);
  const first = files.get(release ?? MANIFEST_NAME);
  if (first?.[0] === 0x7b) probe.pastHeader();

  const manifest = await readManifest(pack);
  probe.saw(`${manifest.tensors.length} tensors, ${manifest.shards.length} shards`);
  if (manifest.weight_bytes > MAX_IMAGE) return;
  const image = new Uint8Array(manifest.weight_bytes);
  await loadWeights(pack, manifest, image);
  for (const { name, form, shape, offset, bytes } of manifest.tensors) {
    await usable(`tensor ${name}`, () => {
      const tensor = image.subarray(offset, offset + bytes);
      if (tensor.length !== bytes) throw new Error(`${tensor.length} bytes`);
      if (form === "vector") return;
      const [rows = 0, cols = 0] = shape;
      const row = new Float32Array(cols).fill(Number.NaN);
      for (const at of [0, rows - 1]) unpackRow(form, tensor, cols, at, row);
      probe.saw(`${form} ${Math.log2(rows) | 0}`);
    });
  }
  const copy = memoryFolder("copy");
  const copied = await copyPack(pack, copy);
  await usable("the copy", async () => {
    if ((await readManifest(copy)).checksum !== copied.checksum)
      throw new Error("has another checksum");
  });
  if (manifest.tokenizer) await tokenize(loadTokenizer(await loadBlob(pack, manifest.tokenizer)));
  probe.saw(parseLlamaConfig(manifest.config, "manifest.json: config").num_attention_heads);
}

export const target: FuzzTarget = {
  seeds,
  layout: (input) =>
    filesLayout(input, (name, bytes) =>
      layoutOf(bytes, (reader) => {
        if (name.endsWith(".json")) return readJson(reader);
        while (reader.at < bytes.length)
          reader.skip("bytes", Math.min(64, bytes.length - reader.at));
      }),
    ),
  words: [
    "q4",
    "q4m",
    "q4s",
    "q6m",
    "q8",
    "bf16",
    "f32",
    "vector",
    "int16",
    "small",
    "offset",
    "bytes",
    "shape",
    "form",
    "shards",
    "tensors",
    "weight_bytes",
    "checksum",
    "tokenizer",
    "..",
    "a/b",
  ],
  finish: resealed,
  run,
  planted: {
    name: "tensors may lie anywhere in the image",
    file: "src/pack/manifest-check.ts",
    find: "if (offset !== end) tensor",
    replace: "if (offset < 0) tensor",
  },
};
