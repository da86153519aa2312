/**
 * Reads the index of a GGUF model, of one file or split into parts. Never reads weights.
 *
 * A part says in `split.no` (from 0) and `split.count` which it is; the first has the metadata.
 * Costs one read of 64 KiB for a small vocabulary, about a dozen for the largest.
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, llama.cpp's gguf-split.
 */
import { PronkError } from "../../errors.ts";
import type { ByteSource } from "../../sources/source.ts";
import type { ModelFile, TensorInfo } from "../model-file.ts";
import { printable, shown } from "../printable.ts";
import { type GgufHeader, readGgufHeader } from "./header.ts";

/**
 * Lists metadata and tensors of a model, from its file or from all its parts in any order.
 *
 * @throws PronkError "bad_format" when a header is malformed, cut off, beyond its limits or
 *   disagrees with its file or the other parts; "not_found" when a part is missing; "unsupported"
 *   on other versions, big-endian files and types that do not run; and as the sources do.
 */
export async function readGguf(
  source: ByteSource | readonly ByteSource[],
  signal?: AbortSignal,
): Promise<ModelFile> {
  const sources = "readInto" in source ? [source] : source;
  const headers: GgufHeader[] = [];
  for (const part of sources) headers.push(await readGgufHeader(part, signal));

  const parts = orderParts(headers);
  const [first] = parts;
  if (!first) throw new PronkError("bad_request", "readGguf: no file given");
  const tensors = new Map<string, TensorInfo>();
  for (const part of parts) {
    for (const [name, tensor] of part.tensors) {
      const other = tensors.get(name);
      if (other) throw bad(part, `tensor ${printable(name)}: is also in ${other.source.name}`);
      tensors.set(name, tensor);
    }
  }
  const expected = first.metadata.get("split.tensors.count");
  if (parts.length > 1 && expected !== undefined && expected !== tensors.size) {
    throw bad(
      first,
      `key split.tensors.count: ${shown(expected)}, the parts have ${tensors.size} tensors`,
    );
  }
  return { name: first.source.name, metadata: first.metadata, tensors };
}

/** The parts by number, none missing; a file that is not split is its own only part. */
function orderParts(headers: readonly GgufHeader[]): GgufHeader[] {
  const count = Math.max(1, ...headers.map(splitCount));
  if (count === 1 && headers.length <= 1) return [...headers];

  const parts = new Map<number, GgufHeader>();
  for (const header of headers) {
    if (splitCount(header) !== count) {
      throw bad(header, `key split.count: ${splitCount(header)}, another part says ${count}`);
    }
    const number = header.metadata.get("split.no");
    if (typeof number !== "number" || !Number.isInteger(number) || number < 0 || number >= count) {
      throw bad(header, `key split.no: ${shown(number)} of ${count} parts`);
    }
    const other = parts.get(number);
    if (other) throw bad(header, `is part ${number + 1} of ${count}, so is ${other.source.name}`);
    parts.set(number, header);
  }

  return Array.from({ length: count }, (_, number) => {
    const part = parts.get(number);
    if (part) return part;
    const name = headers[0]!.source.name;
    throw new PronkError("not_found", `${name}: part ${number + 1} of ${count} is missing`);
  });
}

function splitCount(header: GgufHeader): number {
  const count = header.metadata.get("split.count") ?? 1;
  // The format stores it in 16 bits.
  if (typeof count === "number" && Number.isInteger(count) && count >= 0 && count <= 0xffff) {
    return Math.max(1, count);
  }
  throw bad(header, `key split.count: ${shown(count)}`);
}

function bad(header: GgufHeader, what: string): PronkError {
  return new PronkError("bad_format", `${header.source.name}: ${what}`);
}
