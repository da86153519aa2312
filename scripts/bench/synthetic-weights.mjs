// Random weights as the tensors of a Q4_1 file: matrices in Q4_1, the embedding in Q8_0, norms in F32. Any part
// can be read at any time, so that a pack of a large model is written without the model in memory. Seeded by
// the tensor's name: the same bytes each time.

const BLOCK_WEIGHTS = 32;

/** Scales of blocks: SCALE_STEPS values from 3/4 to 5/4 of their mean. */
const SCALE_STEPS = 16;
const scaleFactor = (step) => 0.75 + step / (2 * SCALE_STEPS);

/** Words of 32 bits in a Q4_1 block (f16 scale and minimum, 32 codes), half words in a Q8_0 one. */
const Q4_1_WORDS = 5;
const Q8_0_HALVES = 17;

/** Standard deviations of the codes: 4 bits, and 7 bits (Q8_0 with one to spare), all alike often. */
const DEVIATION_4_BITS = Math.sqrt((16 ** 2 - 1) / 12);
const DEVIATION_7_BITS = Math.sqrt((128 ** 2 - 1) / 12);

/**
 * A tensor of formats/model-file.ts: of a vector ones; of a matrix weights around 0, of variance 1 / columns, so
 * that a product has the size of what goes into it, and logits that of a standard normal.
 */
export function syntheticTensor(name, shape, role) {
  const count = shape.reduce((n, size) => n * size, 1);
  if (role === "vector") return tensor(name, shape, "F32", 4 * count, fillOnes);
  const deviation = 1 / Math.sqrt(shape[1]);
  const seed = seedOf(name);
  const blocks = count / BLOCK_WEIGHTS;
  return role === "embedding"
    ? tensor(name, shape, "Q8_0", blocks * 2 * Q8_0_HALVES, eightBitFiller(seed, deviation))
    : tensor(name, shape, "Q4_1", blocks * 4 * Q4_1_WORDS, fourBitFiller(seed, deviation));
}

/** `fill(destination, start)` makes bytes from `start` on; reads are of whole blocks. */
function tensor(name, shape, type, bytes, fill) {
  const source = {
    name: "synthetic",
    size: bytes,
    async readInto(destination, start, _signal, onProgress) {
      fill(destination, start);
      onProgress?.(destination.length);
    },
  };
  return { name, type, shape, source, start: 0, bytes };
}

function fillOnes({ buffer, byteOffset, byteLength }) {
  new Float32Array(buffer, byteOffset, byteLength / 4).fill(1);
}

function fourBitFiller(seed, deviation) {
  // The minimum is -7.5 steps, so that codes 0 to 15 lie around zero.
  const scales = Uint32Array.from({ length: SCALE_STEPS }, (_, step) => {
    const d = (deviation / DEVIATION_4_BITS) * scaleFactor(step);
    return halfBits(d) | (halfBits(-7.5 * d) << 16);
  });
  return ({ buffer, byteOffset, byteLength }, start) => {
    const words = new Uint32Array(buffer, byteOffset, byteLength / 4);
    for (let i = 0, at = start / 4; i < words.length; at += Q4_1_WORDS) {
      words[i++] = scales[mix(seed + at) & (SCALE_STEPS - 1)];
      for (let k = 1; k < Q4_1_WORDS; k++) words[i++] = mix(seed + at + k);
    }
  };
}

function eightBitFiller(seed, deviation) {
  const scales = Uint16Array.from({ length: SCALE_STEPS }, (_, step) =>
    halfBits((deviation / DEVIATION_7_BITS) * scaleFactor(step)),
  );
  return ({ buffer, byteOffset, byteLength }, start) => {
    const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
    for (let i = 0, at = start / 2; i < halves.length; at += Q8_0_HALVES) {
      halves[i++] = scales[mix(seed + at) & (SCALE_STEPS - 1)];
      for (let k = 1; k < Q8_0_HALVES; k++) {
        // 7 bits of each byte, the highest of them copied to its left: -64 to 63.
        const codes = mix(seed + at + k) & 0x7f7f;
        halves[i++] = codes | ((codes & 0x4040) << 1);
      }
    }
  };
}

/** Another 32 bits for each number (the finalizer of MurmurHash3). */
function mix(n) {
  let h = n | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** FNV-1a. */
function seedOf(name) {
  let h = 0x811c9dc5;
  for (const char of name) h = Math.imul(h ^ char.charCodeAt(0), 0x01000193);
  return h;
}

/** The f16 nearest to a number that is a normal one there. */
function halfBits(value) {
  const [bits] = new Uint32Array(Float32Array.of(Math.abs(value)).buffer);
  const half = ((bits + 0x1000) >>> 13) - ((127 - 15) << 10);
  if (half < 0x400 || half >= 0x7c00) throw new Error(`synthetic: no normal f16: ${value}`);
  return half | (value < 0 ? 0x8000 : 0);
}
