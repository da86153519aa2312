/**
 * Reads what a WebAssembly module imports and exports, with the types of its functions, from the bytes:
 * no engine needed, so a runtime without relaxed SIMD can read the relaxed module too.
 * Source: https://webassembly.github.io/spec/core/binary/modules.html
 */

const VALUE_TYPES = new Map([
  [0x7f, "i32"],
  [0x7e, "i64"],
  [0x7d, "f32"],
  [0x7c, "f64"],
  [0x7b, "v128"],
]);
const KINDS = ["func", "table", "memory", "global"];

/** A cursor over the module's bytes. */
class Reader {
  #bytes;
  position = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  byte() {
    if (this.position >= this.#bytes.length) throw new Error("the module ends too early");
    return this.#bytes[this.position++];
  }

  /** An unsigned LEB128 number. */
  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  }

  text() {
    const length = this.number();
    this.position += length;
    return new TextDecoder().decode(this.#bytes.subarray(this.position - length, this.position));
  }

  list(read) {
    return Array.from({ length: this.number() }, () => read());
  }

  limits() {
    const flags = this.byte();
    this.number();
    if (flags & 1) this.number();
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {{ imports: { module: string, name: string, kind: string }[],
 *             exports: { name: string, kind: string, parameters?: string[], results?: string[] }[] }}
 */
export function readModule(bytes) {
  const reader = new Reader(bytes);
  if (String.fromCharCode(...bytes.subarray(0, 4)) !== "\0asm")
    throw new Error("not a WebAssembly module");
  reader.position = 8;

  let types = [];
  let functionTypes = [];
  const imports = [];
  let exports = [];
  const valueType = () => VALUE_TYPES.get(reader.byte()) ?? "another type";
  while (reader.position < bytes.length) {
    const section = reader.byte();
    const end = reader.number() + reader.position;
    if (section === 1) {
      types = reader.list(() => {
        reader.byte(); // 0x60: a function type
        return { parameters: reader.list(valueType), results: reader.list(valueType) };
      });
    } else if (section === 2) {
      for (const entry of reader.list(() => readImport(reader))) {
        imports.push(entry);
        if (entry.kind === "func") functionTypes.push(entry.type);
      }
    } else if (section === 3) {
      functionTypes = [...functionTypes, ...reader.list(() => reader.number())];
    } else if (section === 7) {
      exports = reader.list(() => ({
        name: reader.text(),
        kind: KINDS[reader.byte()],
        index: reader.number(),
      }));
    }
    reader.position = end;
  }
  return {
    imports: imports.map(({ module, name, kind }) => ({ module, name, kind })),
    exports: exports.map(({ name, kind, index }) => ({
      name,
      kind,
      ...(kind === "func" && types[functionTypes[index]]),
    })),
  };
}

function readImport(reader) {
  const module = reader.text();
  const name = reader.text();
  const kind = KINDS[reader.byte()];
  if (kind === "func") return { module, name, kind, type: reader.number() };
  if (kind === "global") reader.position += 2;
  else {
    if (kind === "table") reader.byte();
    reader.limits();
  }
  return { module, name, kind };
}
