/**
 * Edits of single fields that hold for every format, by its layout. What states a length or a number of entries is
 * corrected along with most edits, so that they reach the reader behind the one that checks lengths.
 */
import { type Field, type Layout, numberBytes, readNumber, type Section } from "./layout.ts";
import type { Random } from "./random.ts";
import type { FuzzTarget } from "./target.ts";

/** At most; 1 is the most frequent number. */
const MAX_EDITS = 8;

const MAX_BYTES = 64 * 1024;

/** How often lengths and numbers of entries follow an edit. */
const MENDED = 0.8;

/** The share of edits that know nothing of the format. */
const BLIND = 0.05;

/** Where limits lie. */
const NUMBERS: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n, 4n, 7n, 8n, 31n, 32n, 33n, 64n, 127n, 128n, 255n, 256n, 1023n, 4096n],
  ...[0x7fffn, 0xffffn, 0x10000n, 0x10ffffn, 0xffffffn, 2n ** 28n, 2n ** 30n, 2n ** 31n - 1n],
  ...[2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n, 2n ** 40n, 2n ** 53n - 1n, 2n ** 53n],
  ...[2n ** 53n + 1n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, -1n, -2n, -128n],
];

const FLOATS = [Number.NaN, Infinity, -Infinity, 0, -0, 1e-45, 3.4e38, 1e308, -1, 0.5, 1e10];

/** Values of JSON of every type, and numbers that JSON.parse takes but few expect. */
const JSON_VALUES = [
  ...[
    "null",
    "true",
    "false",
    "0",
    "-1",
    "-0",
    "1.5",
    "1e400",
    "-1e400",
    "1e-400",
    "[]",
    "{}",
    '""',
  ],
  ...["2147483647", "2147483648", "4294967296", "9007199254740991", "9007199254740993", "1e21"],
  ...["9223372036854775808", "[0]", "[null]", '{"":0}', '"\\ud800"', '"\\u0000"', '"a"', "[[]]"],
  ...["01", "NaN", "Infinity", "'a'", "[1,]", '{"__proto__":{"x":1}}', '["__proto__"]'],
];

/** What decoders of UTF-8 fall over: cut off, overlong, surrogates, beyond the last character. */
const WRONG_UTF8 = [
  [0x80],
  [0xc3],
  [0xe2, 0x82],
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
  [0xf5, 0x80, 0x80, 0x80],
  [0xff],
];

const TEXTS = [
  "",
  "\0",
  "\n",
  " ",
  "__proto__",
  "constructor",
  "../x",
  "a/b",
  "\u{feff}",
  "\u202e",
  "é",
  "\u{1f600}",
  "%s",
  "-1",
  "nan",
];

const encoder = new TextEncoder();

/** One to eight edits; `others` are what may be spliced in. */
export function edited(
  target: FuzzTarget,
  parent: Uint8Array,
  random: Random,
  others: readonly Uint8Array[],
): Uint8Array {
  let input = parent;
  let count = 1;
  while (count < MAX_EDITS && random.chance(0.5)) count++;
  for (let i = 0; i < count; i++) {
    const layout = target.layout(input);
    const next = oneEdit(target, input, layout, random, others);
    if (next.length <= (target.maxBytes ?? MAX_BYTES)) input = next;
  }
  return target.finish?.(input, random) ?? input;
}

function oneEdit(
  target: FuzzTarget,
  input: Uint8Array,
  layout: Layout,
  random: Random,
  others: readonly Uint8Array[],
): Uint8Array {
  if (random.chance(BLIND) || layout.fields.length === 0) return blind(input, random);
  if (target.edits && random.chance(0.3)) return random.pick(target.edits)(input, random, layout);
  const roll = random.below(100);
  if (roll < 60) return editField(target, input, layout, random.pick(layout.fields), random);
  if (roll < 85 && layout.sections.length > 0) return editSection(input, layout, random);
  if (roll < 95) return spliced(target, input, layout, random, random.pick(others));
  if (roll < 98)
    return input.slice(0, random.pick(layout.fields)[random.chance(0.5) ? "start" : "end"]);
  return joined(input, new Uint8Array(random.below(64)), input.subarray(0, random.below(32)));
}

/** `input` with other bytes in [start, end); lengths that count them follow where `mend` says so. */
export function replaced(
  input: Uint8Array,
  layout: Layout,
  start: number,
  end: number,
  bytes: Uint8Array,
  mend: boolean,
): Uint8Array {
  const delta = bytes.length - (end - start);
  const base = delta !== 0 && mend ? input.slice() : input;
  if (base !== input) {
    for (const extent of layout.extents) {
      if (extent.start > start || extent.end < end) continue;
      setNumber(base, extent.field, readNumber(input, extent.field) + BigInt(delta));
    }
  }
  return joined(base.subarray(0, start), bytes, base.subarray(end));
}

/** In place, where the number has room in the field. */
function setNumber(bytes: Uint8Array, field: Field, value: bigint): void {
  const written = numberBytes(field, value);
  if (value >= 0n && written.length === field.end - field.start) bytes.set(written, field.start);
}

function editField(
  target: FuzzTarget,
  input: Uint8Array,
  layout: Layout,
  field: Field,
  random: Random,
): Uint8Array {
  const mend = random.chance(MENDED);
  const put = (bytes: Uint8Array): Uint8Array =>
    replaced(input, layout, field.start, field.end, bytes, mend);
  const old = input.subarray(field.start, field.end);
  switch (field.kind) {
    case "le":
    case "be":
    case "varint":
    case "digits":
      return put(numberBytes(field, otherNumber(input, layout, field, random)));
    case "float":
      return put(floatBytes(field, random.pick(FLOATS)));
    case "json": {
      const same = layout.fields.filter(({ kind }) => kind === "json");
      const other = random.pick(same);
      if (random.chance(0.3)) return put(input.slice(other.start, other.end));
      if (random.chance(0.1)) return put(encoder.encode(nested(random)));
      return put(encoder.encode(random.pick(JSON_VALUES)));
    }
    case "text":
      return put(otherText(target, input, layout, old, random));
    case "bytes": {
      if (random.chance(0.5)) return put(flipped(old, random));
      return put(resized(old, random));
    }
  }
}

function otherNumber(input: Uint8Array, layout: Layout, field: Field, random: Random): bigint {
  const old = readNumber(input, field);
  switch (random.below(6)) {
    case 0:
      return old + BigInt(random.pick([-1, 1, -2, 2, 8, -8, 32, -32]));
    case 1:
      return random.chance(0.5) ? old * 2n : old / 2n;
    case 2:
      return readNumber(input, random.pick(layout.fields));
    case 3:
      return BigInt(input.length - random.below(2) * field.end);
    case 4:
      return BigInt(random.below(64));
    default:
      return random.pick(NUMBERS);
  }
}

function floatBytes({ start, end }: Field, value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  if (end - start === 4) view.setFloat32(0, value, true);
  else if (end - start === 8) view.setFloat64(0, value, true);
  else view.setUint16(0, Number.isNaN(value) ? 0x7e00 : value > 65504 ? 0x7c00 : 0xfc00, true);
  return new Uint8Array(view.buffer, 0, Math.min(8, end - start));
}

function nested(random: Random): string {
  const depth = random.pick([3, 10, 63, 64, 65, 500, 5000]);
  return random.chance(0.5)
    ? "[".repeat(depth) + "]".repeat(depth)
    : `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
}

function otherText(
  { words = [] }: FuzzTarget,
  input: Uint8Array,
  layout: Layout,
  old: Uint8Array,
  random: Random,
): Uint8Array {
  switch (random.below(7)) {
    case 0:
    case 1:
      if (words.length > 0) return encoder.encode(random.pick(words));
      return resized(old, random);
    case 2: {
      const other = random.pick(layout.fields.filter(({ kind }) => kind === "text"));
      return input.slice(other.start, other.end);
    }
    case 3: {
      const at = random.below(old.length + 1);
      return joined(
        old.subarray(0, at),
        Uint8Array.from(random.pick(WRONG_UTF8)),
        old.subarray(at),
      );
    }
    case 4:
      return encoder.encode(random.pick(TEXTS).repeat(random.pick([1, 1, 2, 100, 1000])));
    case 5:
      return flipped(old, random);
    default:
      return resized(old, random);
  }
}

/** Some bytes more, or fewer. */
function resized(old: Uint8Array, random: Random): Uint8Array {
  const from = random.below(old.length + 1);
  const to = Math.min(old.length, from + random.below(16));
  if (random.chance(0.4)) return joined(old.subarray(0, from), old.subarray(to));
  const more = random.chance(0.5)
    ? old.subarray(from, to)
    : new Uint8Array(random.below(40)).fill(random.below(256));
  const times = random.pick([1, 1, 1, 2, 16]);
  return joined(
    old.subarray(0, to),
    ...Array.from({ length: times }, () => more),
    old.subarray(to),
  );
}

function flipped(old: Uint8Array, random: Random): Uint8Array {
  const bytes = old.slice();
  if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
  return bytes;
}

/** Knows nothing of the format. */
function blind(input: Uint8Array, random: Random): Uint8Array {
  if (input.length === 0) return new Uint8Array(random.below(16));
  const bytes = input.slice();
  for (let i = random.between(1, 4); i > 0; i--) {
    const at = random.below(bytes.length);
    if (random.chance(0.5)) bytes[at]! ^= 1 << random.below(8);
    else bytes[at] = random.below(256);
  }
  return bytes;
}

/** Leaves a section out, doubles it, or swaps it with another of its group. */
function editSection(input: Uint8Array, layout: Layout, random: Random): Uint8Array {
  const section = random.pick(layout.sections);
  const { start, end, count, separator } = section;
  const mend = random.chance(MENDED);
  const counted = (bytes: Uint8Array, by: number): Uint8Array => {
    if (!mend || !count) return bytes;
    const next = bytes.slice();
    setNumber(next, count, readNumber(input, count) + BigInt(by));
    return next;
  };
  const copy = input.slice(start, end);
  switch (random.below(3)) {
    case 0: {
      const before = separator !== undefined && input[start - 1] === separator ? 1 : 0;
      const behind = separator !== undefined && before === 0 && input[end] === separator ? 1 : 0;
      const less = counted(input, -1);
      return replaced(less, layout, start - before, end + behind, new Uint8Array(0), mend);
    }
    case 1: {
      const times = random.chance(0.9) ? 1 : random.pick([2, 16, 100]);
      const more = Array.from({ length: times }, () => [
        ...(separator === undefined ? [] : [Uint8Array.of(separator)]),
        copy,
      ]).flat();
      return replaced(counted(input, times), layout, end, end, joined(...more), mend);
    }
    default: {
      const other = random.pick(sameGroup(layout, section));
      const [a, b] = other.start < start ? [other, section] : [section, other];
      if (a.end > b.start) return blind(input, random);
      return joined(
        input.subarray(0, a.start),
        input.subarray(b.start, b.end),
        input.subarray(a.end, b.start),
        input.subarray(a.start, a.end),
        input.subarray(b.end),
      );
    }
  }
}

function sameGroup(layout: Layout, { group }: Section): Section[] {
  return layout.sections.filter((section) => section.group === group);
}

/** With a section of another input in place of one of its kind, or with that one's end. */
function spliced(
  target: FuzzTarget,
  input: Uint8Array,
  layout: Layout,
  random: Random,
  other: Uint8Array,
): Uint8Array {
  const theirs = target.layout(other);
  const section = layout.sections.length > 0 ? random.pick(layout.sections) : undefined;
  const fitting = section ? sameGroup(theirs, section) : [];
  if (section && fitting.length > 0 && random.chance(0.8)) {
    const { start, end } = random.pick(fitting);
    const mend = random.chance(MENDED);
    return replaced(input, layout, section.start, section.end, other.slice(start, end), mend);
  }
  if (theirs.fields.length === 0) return blind(input, random);
  const index = random.below(Math.min(layout.fields.length, theirs.fields.length));
  return joined(
    input.subarray(0, layout.fields[index]!.start),
    other.subarray(theirs.fields[index]!.start),
  );
}

/** One behind the other. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
