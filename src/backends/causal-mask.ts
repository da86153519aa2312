/**
 * (count, start + count) bytes: row i sees the keys up to its own.
 */
export function causalMask(start: number, count: number): Uint8Array {
  const keys = start + count;
  const visible = new Uint8Array(count * keys);
  for (let row = 0; row < count; row++) visible.fill(1, row * keys, row * keys + start + row + 1);
  return visible;
}
