/** Makes a finding small: pieces are left out, then bytes set to zero, as long as it stays the same finding. */
import { joined } from "./edits.ts";

/** @param same whether these bytes still show the finding; at most `tries` calls */
export async function minimised(
  input: Uint8Array,
  same: (bytes: Uint8Array) => Promise<boolean>,
  tries: number,
): Promise<Uint8Array> {
  let best = input;
  let left = tries;
  const attempt = async (bytes: Uint8Array): Promise<boolean> => {
    if (left-- <= 0 || !(await same(bytes))) return false;
    best = bytes;
    return true;
  };
  for (
    let piece = Math.ceil(best.length / 2);
    piece >= 1 && left > 0;
    piece = Math.floor(piece / 2)
  ) {
    for (let at = 0; at < best.length && left > 0; ) {
      const without = joined(best.subarray(0, at), best.subarray(at + piece));
      if (!(await attempt(without))) at += piece;
    }
  }
  for (let piece = 256; piece >= 1 && left > 0; piece = Math.floor(piece / 4)) {
    for (let at = 0; at < best.length && left > 0; at += piece) {
      if (best.subarray(at, at + piece).every((byte) => byte === 0)) continue;
      const zeroed = best.slice();
      zeroed.fill(0, at, at + piece);
      await attempt(zeroed);
    }
  }
  return best;
}
