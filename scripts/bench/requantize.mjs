/**
 * A GGUF file's matrices in another type, rounded as ggml rounds: for speed only. Weights that were
 * rounded twice answer worse than those of a file made from the original.
 *
 *   node scripts/bench/requantize.mjs MODEL.gguf Q4_0|Q8_0 OUT.gguf
 *
 * Embedding and head stay as they are, and so do vectors; metadata is copied as bytes.
 * Source: quantize_row_q4_0_ref and quantize_row_q8_0_ref in ggml/src/ggml-quants.c.
 */
import { closeSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { dequantize } from "../../dist/src/formats/gguf/dequantize.js";
import { readGguf } from "../../dist/src/formats/gguf/read-gguf.js";
import { typeName } from "../../dist/src/formats/gguf/types.js";
import { fileSource } from "../../dist/src/sources/file.js";

const BLOCK = 32;
const DEFAULT_ALIGNMENT = 32;
const KEPT = new Set(["token_embd.weight", "output.weight"]);

/** Bytes of a block, how one is written, and what general.file_type says of such a file. */
const TARGETS = {
  Q4_0: { bytes: 18, quantize: quantizeQ4Zero, fileType: 2 },
  Q8_0: { bytes: 34, quantize: quantizeQ8Zero, fileType: 7 },
};

/** Types that can be made. */
export const REQUANTIZED_TYPES = Object.keys(TARGETS);

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** The bits of the nearest f16, ties to even. */
export function f32ToF16(value) {
  f32[0] = value;
  const sign = (u32[0] >>> 16) & 0x8000;
  const magnitude = Math.abs(f32[0]);
  if (Number.isNaN(magnitude)) return sign | 0x7e00;
  // Half-way between the largest f16 and what would follow it.
  if (magnitude >= 65520) return sign | 0x7c00;
  // Steps of 2^-24 below the normal numbers. The product is exact.
  if (magnitude < 2 ** -14) return sign | roundEven(magnitude * 2 ** 24);
  f32[0] = magnitude;
  const bits = u32[0] - (112 << 23);
  return sign | ((bits + 0xfff + ((bits >>> 13) & 1)) >>> 13);
}

function roundEven(x) {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** A block of 32 weights from x[at]: a scale, and codes 0 to 15 that mean -8 to 7 of it. */
function quantizeQ4Zero(x, at, out, to) {
  let max = 0;
  for (let i = at; i < at + BLOCK; i++) if (Math.abs(x[i]) > Math.abs(max)) max = x[i];
  const d = Math.fround(max / -8);
  const inverse = d === 0 ? 0 : Math.fround(1 / d);
  writeHalf(out, to, d);
  const code = (value) => Math.min(15, Math.trunc(Math.fround(Math.fround(value * inverse) + 8.5)));
  for (let i = 0; i < 16; i++) out[to + 2 + i] = code(x[at + i]) | (code(x[at + 16 + i]) << 4);
}

function quantizeQ8Zero(x, at, out, to) {
  let max = 0;
  for (let i = at; i < at + BLOCK; i++) max = Math.max(max, Math.abs(x[i]));
  const d = Math.fround(max / 127);
  const inverse = d === 0 ? 0 : Math.fround(1 / d);
  writeHalf(out, to, d);
  for (let i = 0; i < BLOCK; i++) {
    const value = Math.fround(x[at + i] * inverse);
    // C's roundf: halves away from zero.
    out[to + 2 + i] = Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
  }
}

function writeHalf(out, at, value) {
  const bits = f32ToF16(value);
  out[at] = bits & 0xff;
  out[at + 1] = bits >>> 8;
}

/**
 * Writes `path`'s model to `outPath`.
 *
 * @param type one of REQUANTIZED_TYPES.
 */
export async function requantize(path, type, outPath) {
  const input = openSync(path, "r");
  const output = openSync(outPath, "w");
  try {
    const read = async (buffer, position) => readSync(input, buffer, 0, buffer.length, position);
    const source = fileSource({ read }, path, statSync(path).size);
    const { metadata, tensors } = await readGguf(source);
    if (metadata.has("split.count")) throw new Error(`${path}: is one part of several`);
    const bytesOf = async (start, end) => {
      const bytes = Buffer.alloc(end - start);
      await source.readInto(bytes, start);
      return bytes;
    };

    const planned = [];
    let offset = 0;
    const alignment = Number(metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT);
    const align = (n) => Math.ceil(n / alignment) * alignment;
    for (const [name, tensor] of tensors) {
      const { shape } = tensor;
      const elements = shape.reduce((a, b) => a * b, 1);
      const changes = shape.length > 1 && !KEPT.has(name);
      const bytes = changes ? (elements / BLOCK) * TARGETS[type].bytes : tensor.bytes;
      planned.push({ name, tensor, elements, offset, bytes, type: changes ? type : tensor.type });
      offset = align(offset + bytes);
    }

    const dataStart = Math.min(...planned.map(({ tensor }) => tensor.start));
    const head = await bytesOf(0, dataStart);
    const prefix = head.subarray(0, findInfos(head, planned[0]));
    const infos = Buffer.concat(planned.map(tensorInfo));
    const start = align(prefix.length + infos.length);
    setFileType(prefix, TARGETS[type].fileType);
    writeSync(output, prefix, 0, prefix.length, 0);
    writeSync(output, infos, 0, infos.length, prefix.length);
    for (const { tensor, elements, offset: at, bytes, type: kept } of planned) {
      const stored = await bytesOf(tensor.start, tensor.start + tensor.bytes);
      let out = stored;
      if (kept !== tensor.type) {
        const weights = new Float32Array(elements);
        dequantize(tensor.type, stored, weights);
        out = quantizeBlocks(type, weights);
      }
      writeSync(output, out, 0, bytes, start + at);
    }
  } finally {
    closeSync(input);
    closeSync(output);
  }
}

/** Whole blocks of `type`, from weights whose number 32 divides. */
export function quantizeBlocks(type, weights) {
  const { bytes, quantize } = TARGETS[type];
  const out = new Uint8Array((weights.length / BLOCK) * bytes);
  for (let i = 0; i * BLOCK < weights.length; i++) quantize(weights, i * BLOCK, out, i * bytes);
  return out;
}

/** Where the first tensor's description begins: its name with its length, found from the end. */
function findInfos(head, { name }) {
  const at = head.lastIndexOf(ggufString(name));
  if (at < 0) throw new Error(`no description of ${name} in the header`);
  return at;
}

function tensorInfo({ name, tensor: { shape }, type, offset }) {
  const label = ggufString(name);
  const rest = Buffer.alloc(4 + 8 * shape.length + 4 + 8);
  let at = rest.writeUInt32LE(shape.length);
  // Innermost first.
  for (const size of [...shape].reverse()) at = rest.writeBigUInt64LE(BigInt(size), at);
  at = rest.writeUInt32LE(typeNumber(type), at);
  rest.writeBigUInt64LE(BigInt(offset), at);
  return Buffer.concat([label, rest]);
}

function typeNumber(type) {
  for (let number = 0; typeName(number) !== undefined; number++) {
    if (typeName(number) === type) return number;
  }
  throw new Error(`no type ${type}`);
}

function setFileType(prefix, fileType) {
  const key = ggufString("general.file_type");
  const at = prefix.indexOf(key);
  // 4 bytes say that an unsigned integer follows.
  if (at >= 0) prefix.writeUInt32LE(fileType, at + key.length + 4);
}

function ggufString(text) {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes]);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [path, type, out] = process.argv.slice(2);
  if (!out || !REQUANTIZED_TYPES.includes(type)) {
    console.error("requantize: MODEL.gguf Q4_0|Q8_0 OUT.gguf");
    process.exit(2);
  }
  await requantize(path, type, out);
}
