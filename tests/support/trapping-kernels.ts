/**
 * The kernels with a fault: a batch that begins with one certain token reaches `unreachable`, as a bug of theirs would.
 * No input reaches one in those that are shipped, so a trap has to be planted.
 */

/** Of the binary format: https://webassembly.github.io/spec/core/binary/modules.html */
const HEADER_BYTES = 8;
const SECTION = { import: 2, export: 7, code: 10 } as const;
const KIND = { function: 0, table: 1, memory: 2, global: 3 } as const;

/** embed_FORM(x, w, ids, count, dim): local.get 2; i32.load; i32.const TOKEN; i32.eq; if; unreachable; end */
const trapAt = (token: number): number[] => {
  return [0x20, 2, 0x28, 2, 0, 0x41, ...signedLeb(token), 0x46, 0x04, 0x40, 0x00, 0x0b];
};

/** A module whose embed kernels trap at a batch that begins with this token. */
export function withTrap(wasm: Uint8Array<ArrayBuffer>, token: number): Uint8Array<ArrayBuffer> {
  const sections = readSections(wasm);
  const imported = countImports(sections.find(({ id }) => id === SECTION.import)!.bytes);
  const embeds = exportedFunctions(sections.find(({ id }) => id === SECTION.export)!.bytes)
    .filter(({ name }) => name.startsWith("embed_"))
    .map(({ index }) => index - imported);
  if (embeds.length === 0) throw new Error("no embed kernel to plant a trap in");
  const parts: number[] = [...wasm.subarray(0, HEADER_BYTES)];
  for (const { id, bytes } of sections) {
    const content = id === SECTION.code ? withPrefix(bytes, new Set(embeds), trapAt(token)) : bytes;
    parts.push(id, ...leb(content.length), ...content);
  }
  return new Uint8Array(parts);
}

function withPrefix(
  code: Uint8Array,
  functions: ReadonlySet<number>,
  prefix: readonly number[],
): number[] {
  const reader = new Reader(code);
  const count = reader.number();
  const out = leb(count);
  for (let i = 0; i < count; i++) {
    const body = reader.bytes(reader.number());
    if (!functions.has(i)) {
      out.push(...leb(body.length), ...body);
      continue;
    }
    const locals = new Reader(body);
    for (let groups = locals.number(); groups > 0; groups--) {
      locals.number();
      locals.bytes(1);
    }
    const all = [...body.subarray(0, locals.at), ...prefix, ...body.subarray(locals.at)];
    out.push(...leb(all.length), ...all);
  }
  return out;
}

interface Section {
  readonly id: number;
  readonly bytes: Uint8Array;
}

function readSections(wasm: Uint8Array): Section[] {
  const reader = new Reader(wasm, HEADER_BYTES);
  const sections: Section[] = [];
  while (reader.at < wasm.length) {
    const [id] = reader.bytes(1) as unknown as [number];
    sections.push({ id, bytes: reader.bytes(reader.number()) });
  }
  return sections;
}

function countImports(section: Uint8Array): number {
  const reader = new Reader(section);
  let functions = 0;
  for (let i = reader.number(); i > 0; i--) {
    reader.text();
    reader.text();
    const [kind] = reader.bytes(1);
    if (kind === KIND.function) {
      functions++;
      reader.number();
    } else if (kind === KIND.memory) {
      const [flags = 0] = reader.bytes(1);
      reader.number();
      if (flags & 1) reader.number();
    } else throw new Error(`an import of kind ${kind}`);
  }
  return functions;
}

function exportedFunctions(section: Uint8Array): { name: string; index: number }[] {
  const reader = new Reader(section);
  const found: { name: string; index: number }[] = [];
  for (let i = reader.number(); i > 0; i--) {
    const name = reader.text();
    const [kind] = reader.bytes(1);
    const index = reader.number();
    if (kind === KIND.function) found.push({ name, index });
  }
  return found;
}

class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  bytes(count: number): Uint8Array {
    this.at += count;
    return this.#bytes.subarray(this.at - count, this.at);
  }

  text(): string {
    return new TextDecoder().decode(this.bytes(this.number()));
  }
}

function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
}

function signedLeb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const isLast = rest === 0 && (byte & 0x40) === 0;
    bytes.push(isLast ? byte : byte | 0x80);
    if (isLast) return bytes;
  }
}
