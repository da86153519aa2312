// A WebAssembly module that does nothing but read memory, as fast as one core can: put together here, since
// JavaScript has no 16-byte loads and the kernels have no such function.
//
//   (module (import "env" "memory" (memory 0))
//     (func (export "read") (param $at i32) (result i32)    ;; READER_SPAN_BYTES from $at on
//       (local $end i32) (local $a v128) (local $b v128) (local $c v128) (local $d v128)
//       $end = $at + half
//       loop  $a += load($at) ... $d += load($at + half + 48);  $at += 64;  until $at = $end
//       lane 0 of $a + $b + $c + $d))

/** What one call reads: short, so that engines have optimized it after a few calls. */
export const READER_SPAN_BYTES = 1024 * 1024;

/** Two streams, half a span apart: a quarter faster than one where memory is the limit; four are no faster. */
const HALF_BYTES = READER_SPAN_BYTES / 2;

/** Of each stream, a turn. */
const VECTORS = 4;
const VECTOR_BYTES = 16;

const [I32, V128, EMPTY_BLOCK] = [0x7f, 0x7b, 0x40];
const [AT, END, FIRST_SUM] = [0, 1, 2];
const SUMS = 4;

const get = (local) => [0x20, local];
const set = (local) => [0x21, local];
const constant = (value) => [0x41, ...signed(value)];
const I32_ADD = [0x6a];
const I32X4_ADD = [0xfd, 0xae, 0x01];

/** Compiled; its `read` returns something of all that it has read. */
export function readerModule() {
  const loads = [];
  for (let i = 0; i < VECTORS; i++) {
    for (const stream of [0, HALF_BYTES]) {
      const sum = FIRST_SUM + (loads.length % SUMS);
      const load = [0xfd, 0x00, 4, ...unsigned(stream + i * VECTOR_BYTES)];
      loads.push([...get(sum), ...get(AT), ...load, ...I32X4_ADD, ...set(sum)]);
    }
  }
  const body = [
    ...[...get(AT), ...constant(HALF_BYTES), ...I32_ADD, ...set(END)],
    ...[0x03, EMPTY_BLOCK],
    ...loads.flat(),
    ...[...get(AT), ...constant(VECTORS * VECTOR_BYTES), ...I32_ADD, 0x22, AT],
    ...[...get(END), 0x47, 0x0d, 0, 0x0b],
    ...get(FIRST_SUM),
    ...[1, 2, 3].flatMap((i) => [...get(FIRST_SUM + i), ...I32X4_ADD]),
    ...[0xfd, 0x1b, 0, 0x0b],
  ];
  const code = [2, 1, I32, SUMS, V128, ...body];
  return new WebAssembly.Module(
    Uint8Array.from([
      ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, [0x60, 1, I32, 1, I32]),
      ...section(2, [...name("env"), ...name("memory"), 2, 0, 0]),
      ...section(3, [0]),
      ...section(7, [...name("read"), 0, 0]),
      ...section(10, [...unsigned(code.length), ...code]),
    ]),
  );
}

/** With one entry. */
function section(id, entry) {
  const content = [1, ...entry];
  return [id, ...unsigned(content.length), ...content];
}

function name(text) {
  return [text.length, ...new TextEncoder().encode(text)];
}

/** LEB128. */
function unsigned(value) {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

/** LEB128 of a number that is not negative. */
function signed(value) {
  return value < 64 ? [value] : [(value & 127) | 128, ...signed(value >>> 7)];
}
