/**
 * Makes a kernel module work on shared memory, in several threads: its bytes import a memory of their
 * own otherwise, and all instances would have their stack in the same place. Two sections change:
 * the imported memory is declared shared, with a maximum, and the stack pointer is exported, so that
 * each thread sets its own. The code stays as it is.
 *
 * Source: https://webassembly.github.io/threads/core/binary/modules.html
 */
import { PronkError } from "../../../errors.ts";

/** The name under which the stack pointer is exported: wasm-ld's own. */
export const STACK_POINTER = "__stack_pointer";

const HEADER_BYTES = 8;
const IMPORT_SECTION = 2;
const GLOBAL_SECTION = 6;
const EXPORT_SECTION = 7;
const MEMORY_KIND = 2;
const GLOBAL_KIND = 3;
const I32 = 0x7f;
const MUTABLE = 1;

/** Flags of a memory's limits: it has a maximum; it is shared. */
const HAS_MAXIMUM = 1;
const IS_SHARED = 2;

/** What wasm32 can address: an import's maximum must not be below that of the memory it gets. */
const MAX_PAGES = 65_536;

/** @throws PronkError "unsupported" when the module is not built as ours are. */
export function shareModule(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out: number[] = Array.from(bytes.subarray(0, HEADER_BYTES));
  const seen = new Set<number>();
  let at = HEADER_BYTES;
  while (at < bytes.length) {
    const id = bytes[at];
    const [size, start] = readNumber(bytes, at + 1);
    const end = start + size;
    if (end > bytes.length) throw unknown("it is cut off");
    const body = bytes.subarray(start, end);
    seen.add(id);
    const changed =
      id === IMPORT_SECTION
        ? shareMemory(body)
        : id === EXPORT_SECTION
          ? exportStackPointer(body)
          : body;
    if (id === GLOBAL_SECTION) checkStackPointer(body);
    out.push(id, ...numberBytes(changed.length));
    for (const byte of changed) out.push(byte);
    at = end;
  }
  for (const id of [IMPORT_SECTION, GLOBAL_SECTION, EXPORT_SECTION]) {
    if (!seen.has(id)) throw unknown(`it has no section ${id}`);
  }
  return Uint8Array.from(out);
}

/** One import, and that is a memory. */
function shareMemory(body: Uint8Array): number[] {
  let at = 0;
  const number = (): number => {
    const [value, next] = readNumber(body, at);
    at = next;
    return value;
  };
  const imports = number();
  for (let name = 0; name < 2; name++) {
    const length = number();
    at += length;
  }
  if (imports !== 1 || body[at] !== MEMORY_KIND) throw unknown("it imports more than a memory");
  const limits = at + 1;
  at = limits + 1;
  const minimum = number();
  return [
    ...body.subarray(0, limits),
    HAS_MAXIMUM | IS_SHARED,
    ...numberBytes(minimum),
    ...numberBytes(MAX_PAGES),
  ];
}

/** wasm-ld's stack pointer is the first global, and its only mutable one. */
function checkStackPointer(body: Uint8Array): void {
  const [, start] = readNumber(body, 0);
  if (body[start] !== I32 || body[start + 1] !== MUTABLE) throw unknown("its stack pointer");
}

function exportStackPointer(body: Uint8Array): number[] {
  const [count, start] = readNumber(body, 0);
  const name = new TextEncoder().encode(STACK_POINTER);
  return [
    ...numberBytes(count + 1),
    ...body.subarray(start),
    ...numberBytes(name.length),
    ...name,
    GLOBAL_KIND,
    0,
  ];
}

/** An unsigned LEB128 number, and what is behind it. */
function readNumber(bytes: Uint8Array, at: number): [value: number, next: number] {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) break;
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
  throw unknown("a number in it");
}

function numberBytes(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 127;
    rest >>>= 7;
    bytes.push(rest > 0 ? low | 128 : low);
  } while (rest > 0);
  return bytes;
}

function unknown(what: string): PronkError {
  return new PronkError("unsupported", `kernels: not a module to share: ${what}`);
}
