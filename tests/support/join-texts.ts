/** Texts as tokenizers keep them. */
import type { TokenBytes } from "../../src/tokenizers/tokenizer.ts";

export function joinTexts(texts: readonly Uint8Array[]): TokenBytes {
  const offsets = new Uint32Array(texts.length + 1);
  for (const [id, { length }] of texts.entries()) offsets[id + 1] = offsets[id] + length;
  const bytes = new Uint8Array(offsets[texts.length]);
  for (const [id, text] of texts.entries()) bytes.set(text, offsets[id]);
  return { offsets, bytes };
}
