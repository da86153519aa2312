/** Where the fields of a GGUF file lie. */
import { type Layout, type LayoutReader, layoutOf } from "./layout.ts";

const WIDTHS: Readonly<Record<number, number>> = {
  ...{ 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 },
};
const FLOATS: readonly number[] = [6, 12];
const STRING = 8;
const ARRAY = 9;

/** Elements of an array that are noted one by one; of longer ones nothing is but their bytes. */
const MAX_ITEMS = 64;

export function ggufLayout(input: Uint8Array): Layout {
  return layoutOf(input, (reader) => {
    const { layout } = reader;
    reader.skip("bytes", 4);
    reader.number("le", 4);
    const tensors = reader.number("le", 8);
    const entries = reader.number("le", 8);
    for (let i = 0; i < entries.value; i++) {
      const start = reader.at;
      text(reader);
      value(reader, reader.number("le", 4).value);
      layout.section("entry", start, reader.at, entries.field);
    }
    for (let i = 0; i < tensors.value; i++) {
      const start = reader.at;
      text(reader);
      const dims = reader.number("le", 4);
      for (let d = 0; d < dims.value; d++) {
        const at = reader.at;
        reader.number("le", 8);
        layout.section("dim", at, reader.at, dims.field);
      }
      reader.number("le", 4);
      reader.number("le", 8);
      layout.section("tensor", start, reader.at, tensors.field);
    }
    const padding = Math.min(input.length - reader.at, -reader.at & 31);
    reader.skip("bytes", padding);
    while (reader.at < input.length) {
      reader.skip("bytes", Math.min(64, input.length - reader.at));
    }
  });
}

function text(reader: LayoutReader): void {
  const length = reader.number("le", 8);
  const field = reader.skip("text", length.value);
  reader.layout.extent(length.field, field.start, field.end);
}

function value(reader: LayoutReader, type: number): void {
  if (type === STRING) {
    text(reader);
    return;
  }
  if (type !== ARRAY) {
    const width = WIDTHS[type] ?? Number.NaN;
    reader.skip(FLOATS.includes(type) ? "float" : "le", width);
    return;
  }
  const item = reader.number("le", 4).value;
  const count = reader.number("le", 8);
  if (item !== STRING && count.value > MAX_ITEMS) {
    reader.skip("bytes", count.value * (WIDTHS[item] ?? Number.NaN));
    return;
  }
  for (let i = 0; i < count.value; i++) {
    const start = reader.at;
    value(reader, item);
    reader.layout.section(`item ${item}`, start, reader.at, count.field);
  }
}
