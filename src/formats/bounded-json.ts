/**
 * JSON of files that anybody may have written: how deep it nests and how many values it has is counted before
 * anything is made of it. JSON.parse by itself takes 45 bytes of memory for each bracket, and what walks its result
 * fills the call stack.
 */
import type { PronkError } from "../errors.ts";

/** Configurations nest 4 deep, chat templates' tools and fusions of tokenizers 8. */
const MAX_DEPTH = 64;

/** Of lists and objects together, where the caller has no other bound; 65,536 tensors of a safetensors header have 530,000. */
const MAX_VALUES = 600_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * The value of a text in UTF-8.
 *
 * @throws what `bad` makes of the finding.
 */
export function parseBoundedJson(
  bytes: Uint8Array,
  bad: (why: string, cause?: unknown) => PronkError,
  maxValues: number = MAX_VALUES,
): unknown {
  checkBounds(bytes, bad, maxValues);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw bad("is not JSON", cause);
  }
}

/** One pass over the bytes; what is wrong otherwise is the parser's to say. */
function checkBounds(bytes: Uint8Array, bad: (why: string) => PronkError, maxValues: number): void {
  let depth = 0;
  let values = 0;
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE:
        for (at++; at < bytes.length && bytes[at] !== QUOTE; at++) {
          if (bytes[at] === BACKSLASH) at++;
        }
        break;
      case OPEN_LIST:
      case OPEN_OBJECT:
        values++;
        if (++depth > MAX_DEPTH) throw bad(`is nested deeper than ${MAX_DEPTH}`);
        break;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        depth--;
        break;
      case COMMA:
        values++;
        break;
    }
    if (values > maxValues) throw bad(`has more than ${maxValues} values`);
  }
}
