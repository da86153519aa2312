/** Files as flax.serialization.to_bytes writes them; nested objects become maps. */
import { bytesOf, type Code } from "../torch/torch-writer.ts";

const big = (n: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(n / 256 ** (bytes - 1 - i)) % 256);

export const name = (s: string): Code => [0xd9, s.length, s];
export const map = (entries: Record<string, Code>): Code => [
  [0xde, big(Object.keys(entries).length, 2)],
  Object.entries(entries).map(([key, value]) => [name(key), value]),
];

/** Extension 1 around [shape, dtype, bytes]. */
export function ndarray(
  shape: readonly number[],
  bytes: Uint8Array,
  options: { dtype?: string; kind?: number; length?: number; slack?: number } = {},
): Code {
  const { dtype = "float32", kind = 1, length = bytes.length, slack = 0 } = options;
  const content = bytesOf(
    [0x93, 0x90 + shape.length, shape.map((n) => [0xcd, big(n, 2)]), name(dtype)],
    [0xc6, big(length, 4), bytes],
  );
  return [0xc9, big(content.length + slack, 4), kind, content];
}

/** As Flax cuts arrays beyond 1 GiB. */
export function chunked(shape: readonly number[], chunks: readonly Code[]): Code {
  const numbered = (items: readonly Code[]): Code =>
    map(Object.fromEntries(items.map((item, i) => [String(i), item])));
  return [
    [0x83, name("__msgpack_chunked_array__"), 0xc3, name("shape"), numbered([...shape])],
    [name("chunks"), numbered(chunks)],
  ];
}
