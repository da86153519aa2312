/** How SentencePiece spells spaces and bytes in its pieces. */
import { TokenType } from "./vocabulary.ts";

/** SentencePiece's space, U+2581, in UTF-8. Pieces are stored with a real space in its place. */
const SPACE = [0xe2, 0x96, 0x81] as const;

/** Whether merges make a piece of this type; user-defined ones are found in texts instead. */
export function isMergeable(type: number): boolean {
  return type === TokenType.normal || type === TokenType.unused;
}

/** Writes bytes[start, end) to `out` with spaces for U+2581; returns the end of what was written. */
export function unescapeSpaces(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  let to = at;
  for (let i = start; i < end; i++) {
    const found = bytes[i] === SPACE[0] && bytes[i + 1] === SPACE[1] && bytes[i + 2] === SPACE[2];
    if (found && i + 2 < end) {
      out[to++] = 0x20;
      i += 2;
    } else {
      out[to++] = bytes[i]!;
    }
  }
  return to;
}

/** The byte that "<0x0A>" names, or -1. */
export function parseByte(bytes: Uint8Array, start: number, end: number): number {
  if (end - start !== 6 || bytes[start] !== 0x3c) return -1;
  const match = /^<0x([0-9A-Fa-f]{2})>$/.exec(String.fromCharCode(...bytes.subarray(start, end)));
  return match === null ? -1 : Number.parseInt(match[1]!, 16);
}

/** Whether no piece has a space behind something else, so that no merge crosses a word's start. */
export function isWordwise(
  bytes: Uint8Array,
  offsets: Uint32Array,
  types: Uint8Array,
  mergeable: (type: number) => boolean = isMergeable,
): boolean {
  for (let id = 0; id < types.length; id++) {
    if (!mergeable(types[id]!)) continue;
    for (let i = offsets[id]! + 1; i < offsets[id + 1]!; i++) {
      if (bytes[i] === 0x20 && bytes[i - 1] !== 0x20) return false;
    }
  }
  return true;
}
