/**
 * What one core gives at most through WebAssembly, in the engine that runs this: multiply-adds per
 * second of the instructions that the kernels are made of, and bytes per second of reading memory.
 * The loops do nothing else: modules of one function each, put together here byte by byte. They start from
 * memory and end in stores side by side, which is what V8 joins to vectors of 256 bits where that is on.
 */

const [I32, V128] = [0x7f, 0x7b];

/**
 * Independent sums: enough to hide an instruction's latency, few enough for 16 registers, which hold two
 * each where vectors are joined. Which is best depends on the engine's registers, so the fastest counts.
 */
const SUMS = [8, 10, 12, 16, 20, 24];

/** Of a loop, in a call: some microseconds. */
const ROUNDS = 1000;

/** Reading: vectors of 16 bytes a round, into a few sums. */
const LOADS = 8;
const READ_SUMS = 4;

const leb = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...leb(n >>> 7)]);
const get = (i) => [0x20, ...leb(i)];
const set = (i) => [0x21, ...leb(i)];
const tee = (i) => [0x22, ...leb(i)];
const simd = (opcode) => [0xfd, ...leb(opcode)];
const number = (n) => [0x41, n];
const xor = simd(0x51);
const [add, subtract, lessThan, xorI32] = [[0x6a], [0x6b], [0x49], [0x73]];
/** At an address on the stack plus an offset; 4 and 2: aligned to 16 and 4 bytes. */
const loadVector = (offset) => [...simd(0), 4, ...leb(offset)];
const loadSplat = (offset) => [...simd(0x09), 2, ...leb(offset)];
const storeVector = (offset) => [...simd(0x0b), 4, ...leb(offset)];
const loadI32 = (offset) => [0x28, 2, ...leb(offset)];

/** In a peak's own memory: the second operand's word, and the sums. */
const [SECOND_AT, SUMS_AT] = [0, 64];
/** Bytes of 3 are integers of any width; 0.5: x becomes x / 2 + 1 / 2, and stays normal. */
const SECOND = { integer: [3, 3, 3, 3], float: [0, 0, 0, 0x3f] };

/**
 * The loops' steps, by the variant whose products they are; each goes from a sum to a sum, so that
 * none can be left out. `operations`: two a product, of one step on one vector.
 */
const STEPS = {
  /** i32x4.relaxed_dot_i8x16_i7x16_add */
  dot: { operations: 32, step: (s, b) => [...get(s), ...get(b), ...get(s), ...simd(0x113)] },
  /** i16x8.relaxed_dot_i8x16_i7x16, i16x8.add */
  m: {
    operations: 32,
    step: (s, b) => [...get(s), ...get(s), ...get(b), ...simd(0x112), ...simd(0x8e)],
  },
  /** i32x4.dot_i16x8, i32x4.add; also attention's over an integer cache */
  simd: {
    operations: 16,
    step: (s, b) => [...get(s), ...get(s), ...get(b), ...simd(0xba), ...simd(0xae)],
  },
  /** f32x4.mul, f32x4.add */
  f32: {
    operations: 8,
    isFloat: true,
    step: (s, b) => [...get(s), ...get(b), ...simd(0xe6), ...get(b), ...simd(0xe4)],
  },
};

/**
 * @param time `(call) => ({ best })`, milliseconds a call.
 * @param memory to read; its contents do not matter.
 * @param from where the readable part begins, in bytes; the 64 in front of it are written.
 * @returns `peak(kind)`, 10^9 operations a second (undefined where the engine lacks the instruction),
 *   and `reading(bytes)`, 10^9 bytes a second over a working set of so many. Measured when first asked.
 */
export function createLimits(time, memory, from) {
  const known = new Map();
  const once = (key, measure) => {
    if (!known.has(key)) known.set(key, measure());
    return known.get(key);
  };
  return {
    peak: (kind) => once(kind, () => measurePeak(STEPS[kind], time)),
    reading: (bytes) => once(bytes, () => measureReading(bytes, time, memory, from)),
  };
}

function measurePeak({ operations, isFloat, step }, time) {
  const speeds = SUMS.map((count) => {
    const code = peakModule(step, isFloat, count);
    if (!WebAssembly.validate(code)) return undefined;
    const { run } = new WebAssembly.Instance(new WebAssembly.Module(code)).exports;
    return (ROUNDS * count * operations) / time(() => run(ROUNDS)).best / 1e6;
  });
  return speeds.includes(undefined) ? undefined : Math.max(...speeds);
}

function measureReading(bytes, time, memory, from) {
  const round = LOADS * 16;
  const length = Math.max(round, Math.floor(bytes / round) * round);
  const { run } = new WebAssembly.Instance(new WebAssembly.Module(readModule()), {
    env: { memory },
  }).exports;
  return length / time(() => run(from, from + length)).best / 1e6;
}

/** `run(rounds)`: every round takes a step of each sum; they stay in its memory. */
function peakModule(step, isFloat, count) {
  const [rounds, second] = [0, count + 1];
  const sums = Array.from({ length: count }, (_, i) => i + 1);
  const at = number(0);
  const body = [
    ...sums.flatMap((s, i) => [...at, ...loadVector(SUMS_AT + 16 * i), ...set(s)]),
    ...[...at, ...loadSplat(SECOND_AT), ...set(second)],
    ...loop([
      ...sums.flatMap((s) => [...step(s, second), ...set(s)]),
      ...[...get(rounds), ...number(1), ...subtract, ...tee(rounds)],
    ]),
    ...result(sums, at, SUMS_AT),
  ];
  const data = isFloat ? SECOND.float : SECOND.integer;
  return oneFunction([I32], count + 1, body, { own: data });
}

/** `run(from, to)`: reads all bytes of it. */
function readModule() {
  const [at, end, stored] = [0, 1, 2];
  const sums = Array.from({ length: READ_SUMS }, (_, i) => i + 3);
  const body = [
    ...[...get(at), 0x41, ...signedLeb(16 * READ_SUMS), ...subtract, ...set(stored)],
    ...loop([
      ...Array.from({ length: LOADS }, (_, i) => {
        const sum = sums[i % READ_SUMS];
        return [...get(sum), ...get(at), ...loadVector(16 * i), ...xor, ...set(sum)];
      }).flat(),
      ...[...get(at), 0x41, ...signedLeb(16 * LOADS), ...add, ...tee(at), ...get(end), ...lessThan],
    ]),
    ...result(sums, get(stored), 0),
  ];
  return oneFunction([I32, I32], READ_SUMS, body, "imported", 1);
}

/** Repeats while the body leaves something other than 0. */
const loop = (body) => [0x03, 0x40, ...body, 0x0d, 0, 0x0b];

/** Stores all sums, and gives their first words as one i32: nothing was computed in vain. */
const result = (sums, at, offset) => [
  ...sums.flatMap((s, i) => [...at, ...get(s), ...storeVector(offset + 16 * i)]),
  ...sums.flatMap((_, i) => [...[...at, ...loadI32(offset + 16 * i)], ...(i === 0 ? [] : xorI32)]),
];

const signedLeb = (n) => (n < 64 ? [n] : [(n & 127) | 128, ...signedLeb(n >> 7)]);
const name = (text) => [text.length, ...new TextEncoder().encode(text)];

/**
 * A module that exports it as "run"; its result is an i32, its locals are integers, then vectors. Its
 * memory is env.memory, of one page or more, or one page of its `own` that begins with those bytes.
 */
function oneFunction(parameters, vectors, body, memory, integers = 0) {
  const section = (id, bytes) => [id, ...leb(bytes.length), ...bytes];
  const code = [2, ...leb(integers), I32, ...leb(vectors), V128, ...body, 0x0b];
  const imported = [1, ...name("env"), ...name("memory"), 2, 0, 1];
  const data = memory.own && [1, 0, ...number(0), 0x0b, memory.own.length, ...memory.own];
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, parameters.length, ...parameters, 1, I32]),
    ...(memory.own ? [] : section(2, imported)),
    ...section(3, [1, 0]),
    ...(memory.own ? section(5, [1, 0, 1]) : []),
    ...section(7, [1, ...name("run"), 0, 0]),
    ...section(10, [1, ...leb(code.length), ...code]),
    ...(data ? section(11, data) : []),
  ]);
}
