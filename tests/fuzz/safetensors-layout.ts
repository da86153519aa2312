/** Where the fields of a safetensors file lie. */
import { readJson } from "./json-layout.ts";
import { Broken, type Layout, layoutOf } from "./layout.ts";

export function safetensorsLayout(bytes: Uint8Array): Layout {
  return layoutOf(bytes, (reader) => {
    const length = reader.number("le", 8);
    const end = 8 + length.value;
    if (end > bytes.length) throw new Broken();
    reader.layout.extent(length.field, 8, end);
    readJson(reader);
    reader.at = end;
    while (reader.at < bytes.length) reader.skip("bytes", Math.min(16, bytes.length - reader.at));
  });
}
