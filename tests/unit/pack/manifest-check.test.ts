import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import type { Manifest } from "../../../src/pack/manifest.ts";
import { checkManifest } from "../../../src/pack/manifest-check.ts";
import { samplePack } from "./sample-pack.ts";

const schema = JSON.parse(readFileSync("docs/pack-manifest.schema.json", "utf8"));
const fitsSchema = new Ajv2020({ strict: true, strictRequired: false }).compile(schema);
const { manifest } = await samplePack();

/** The sample's manifest with the value at a path replaced, or taken out by undefined. */
function withValue(path: string, value: unknown): unknown {
  const copy = JSON.parse(JSON.stringify(manifest));
  const keys = path.split(".");
  const last = keys.pop()!;
  let at = copy;
  for (const key of keys) at = at[key];
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

const LIMIT = 2 ** 53;
const sha = "0".repeat(64);

test("what writePack makes fits the schema", async () => {
  expect(fitsSchema(manifest) || fitsSchema.errors).toBe(true);
  const { manifest: bare } = await samplePack({
    tokenizer: null,
    manifest: {
      name: "x",
      license: null,
      config: {},
      generation_config: {},
      chat_template: null,
      quantization: { requested: "none", profile: "small", kv: "f32" },
      source: { name: "x.gguf", bytes: 0, sha256: sha },
    },
  });
  expect(fitsSchema(bare) || fitsSchema.errors).toBe(true);
});

test.each<[string, unknown]>([
  ["unknown fields", { ...manifest, later: { added: true } }],
  ["other words for what was asked", withValue("quantization.requested", "int4 g64")],
  ["no checksum", withValue("checksum", undefined)],
])("validator and schema leave %s alone", (_, value) => {
  expect(checkManifest(value, "m")).toEqual(value);
  expect(fitsSchema(value)).toBe(true);
});

/** What the schema refuses as well: path, value, and what the message says. */
const BAD: readonly [path: string, value: unknown, message: RegExp][] = [
  ["format", "gguf", /^m: format: found "gguf", expected "pronk-pack"/],
  ["format", undefined, /^m: format: found nothing/],
  ["version", 2, /^m: version: found 2, this reader knows version 1/],
  ["version", "1", /^m: version: found "1", expected an integer/],
  ["version", 0, /version/],
  ["name", "", /^m: name: found "", expected a name/],
  ["name", "a/b", /^m: name: found "a\/b", expected a name without path separators/],
  ["name", "a\\b", /name/],
  ["name", "..", /name/],
  ["name", ".", /name/],
  ["name", "a\u0000", /name/],
  ["name", "a\n", /name/],
  ["name", "x".repeat(257), /name: found "x{79}…, expected a name of 1 to 256/],
  ["name", 7, /name/],
  ["license", 7, /^m: license: found 7, expected a string or null/],
  ["license", undefined, /license/],
  ["config", null, /^m: config: found null, expected an object/],
  ["config", [], /^m: config: found an array of 0/],
  ["generation_config", "x", /generation_config/],
  ["generation_config", undefined, /generation_config/],
  ["chat_template", {}, /^m: chat_template: found an object/],
  ["quantization", null, /quantization/],
  ["quantization.requested", "", /quantization.requested/],
  ["quantization.profile", "large", /^m: quantization.profile: found "large", expected one of/],
  ["quantization.kv", "fp16", /quantization.kv/],
  ["quantization.kv", undefined, /quantization.kv/],
  ["weight_bytes", -32, /weight_bytes/],
  ["weight_bytes", 0, /weight_bytes/],
  ["weight_bytes", 0.5, /weight_bytes/],
  ["weight_bytes", "32", /weight_bytes/],
  ["weight_bytes", LIMIT, /weight_bytes/],
  ["tensors", {}, /^m: tensors: found an object, expected an array/],
  ["tensors", [], /^m: tensors: found an array of 0, 0 entries, expected 1 to 65536/],
  ["tensors", new Array(65_537).fill(manifest.tensors[0]), /65537 entries/],
  ["tensors.3", null, /^m: tensors\[3\]: found null/],
  ["tensors.3.name", "../../etc/passwd", /^m: tensors\[3\].name: found/],
  ["tensors.3.name", undefined, /tensors\[3\].name/],
  ["tensors.3.form", "q3", /^m: tensors\[3\].form: found "q3"/],
  ["tensors.3.form", "toString", /tensors\[3\].form/],
  ["tensors.0.shape", [64], /^m: tensors\[0\].shape: found an array of 1, expected 2 numbers/],
  ["tensors.0.shape", [70, 64, 1], /tensors\[0\].shape/],
  ["tensors.0.shape", [], /tensors\[0\].shape/],
  ["tensors.0.shape", "70x64", /tensors\[0\].shape/],
  ["tensors.0.shape", [70, 48], /^m: tensors\[0\].shape: .* multiple of 32 columns for q6m/],
  ["tensors.0.shape", [-70, 64], /^m: tensors\[0\].shape\[0\]: found -70/],
  ["tensors.0.shape", [70, 0], /tensors\[0\].shape/],
  ["tensors.0.shape", [70.5, 64], /tensors\[0\].shape/],
  ["tensors.0.shape", [2 ** 24 + 1, 64], /tensors\[0\].shape/],
  ["tensors.0.shape", [70, 2 ** 18 + 32], /^m: tensors\[0\].shape: .* at most 262144 columns/],
  ["tensors.1.shape", [65, 1], /^m: tensors\[1\].shape: .* expected 1 numbers for vector/],
  ["tensors.1.shape", [2 ** 18 + 1], /tensors\[1\].shape/],
  ["tensors.3.offset", -32, /tensors\[3\].offset/],
  ["tensors.3.offset", 33, /tensors\[3\].offset/],
  ["tensors.3.offset", LIMIT, /tensors\[3\].offset/],
  ["tensors.3.offset", "0", /tensors\[3\].offset/],
  ["tensors.3.bytes", 0, /tensors\[3\].bytes/],
  ["tensors.3.bytes", 1e300, /tensors\[3\].bytes/],
  ["shards", [], /^m: shards: .* 0 entries/],
  ["shards", null, /shards/],
  ["shards.0", [], /^m: shards\[0\]: found an array/],
  [
    "shards.0.bytes",
    16 * 1024 * 1024 + 1,
    /^m: shards\[0\].bytes: found 16777217, expected an integer from 1 to 16777216/,
  ],
  ["shards.0.bytes", 0, /shards\[0\].bytes/],
  [
    "shards.0.sha256",
    "0".repeat(63),
    /^m: shards\[0\].sha256: .* 64 lower-case hexadecimal digits/,
  ],
  ["shards.0.sha256", "A".repeat(64), /shards\[0\].sha256/],
  ["shards.0.sha256", `../${"0".repeat(61)}`, /shards\[0\].sha256/],
  ["shards.0.sha256", `${"0".repeat(64)}\n`, /shards\[0\].sha256/],
  ["tokenizer", undefined, /^m: tokenizer: found nothing, expected an object/],
  ["tokenizer", "x", /tokenizer/],
  ["tokenizer.bytes", 16 * 1024 * 1024 + 1, /tokenizer.bytes/],
  ["tokenizer.sha256", null, /tokenizer.sha256/],
  ["source", null, /source/],
  ["source.name", "/home/me/model.gguf", /^m: source.name: .* without path separators/],
  ["source.bytes", -1, /source.bytes/],
  ["source.sha256", "abc", /source.sha256/],
  ["source.sha256", undefined, /source.sha256/],
  ["checksum", "abc", /checksum/],
  ["checksum", null, /checksum/],
];

const titled = BAD.map(([path, value, message]) => {
  const title = `${path} = ${JSON.stringify(value)?.slice(0, 40)}`;
  return [title, path, value, message] as const;
});

test.each(titled)("validator and schema refuse %s", (_, path, value, message) => {
  const bad = withValue(path, value);
  expect(() => checkManifest(bad, "m")).toThrow(message);
  expect(fitsSchema(bad)).toBe(false);
});

test.each([null, undefined, 7, "x", [], true])("validator and schema refuse %o", (value) => {
  expect(() => checkManifest(value, "m")).toThrow(/^m: the document: found/);
  expect(fitsSchema(value)).toBe(false);
});

describe("the sums, which a schema cannot state, are checked:", () => {
  const [first, second] = manifest.tensors;
  test.each<[string, unknown, RegExp]>([
    [
      "tensors that overlap",
      withValue("tensors.1.offset", first.bytes - 32),
      /tensors\[1\].offset: found \d+, expected/,
    ],
    ["a gap", withValue("tensors.1.offset", first.bytes + 32), /tensors\[1\].offset/],
    [
      "a first tensor that is not at 0",
      withValue("tensors.0.offset", 32),
      /tensors\[0\].offset: found 32, expected 0/,
    ],
    [
      "bytes that disagree with form and shape",
      withValue("tensors.0.bytes", first.bytes - 32),
      /tensors\[0\].bytes: found 4608, expected 4640 for q6m \[70,64\]/,
    ],
    [
      "a form that disagrees with the bytes",
      withValue("tensors.0.form", "q8"),
      /tensors\[0\].bytes/,
    ],
    [
      "a shape that disagrees with the bytes",
      withValue("tensors.0.shape", [96, 64]),
      /tensors\[0\].bytes/,
    ],
    [
      "two tensors of one name",
      withValue("tensors.1.name", first.name),
      /tensors\[1\].name: .* a second tensor/,
    ],
    [
      "an image larger than its tensors",
      withValue("weight_bytes", manifest.weight_bytes + 32),
      /weight_bytes: .* the tensors have/,
    ],
    [
      "an image that is cut off",
      withValue("weight_bytes", manifest.weight_bytes - 32),
      /weight_bytes/,
    ],
    ["a missing tensor", withValue("tensors", manifest.tensors.slice(0, -1)), /weight_bytes/],
    [
      "a missing shard",
      withValue("shards", manifest.shards.slice(1)),
      /shards: .* bytes in all, weight_bytes is/,
    ],
    [
      "a shard too many",
      withValue("shards", [...manifest.shards, { sha256: sha, bytes: 1 }]),
      /shards/,
    ],
    ["a shard of another size", withValue("shards.0.bytes", 1), /shards/],
  ])("%s", (_, value, message) => {
    expect(() => checkManifest(value, "m")).toThrow(message);
  });

  test("a version that is not known is unsupported, all else bad_format", () => {
    const codeOf = (value: unknown): string => {
      try {
        checkManifest(value, "m");
      } catch (error) {
        return (error as { code: string }).code;
      }
      return "none";
    };
    expect(codeOf(withValue("version", 2))).toBe("unsupported");
    expect(codeOf(withValue("name", ""))).toBe("bad_format");
    expect(second.form).toBe("vector");
  });
});

test("a prototype's fields are not the manifest's", () => {
  const { name: _, ...rest } = manifest as Manifest & Record<string, unknown>;
  const inherited = Object.assign(Object.create({ name: "inherited" }), rest);
  expect(() => checkManifest(inherited, "m")).toThrow(/^m: name: found nothing/);
});
