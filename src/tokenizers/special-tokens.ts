/**
 * Finds the texts of special tokens in a text: a trie over UTF-16 units, leftmost match first, the
 * longest where several begin. Steps are counted: tokens come from files, and thousands of letters that
 * begin like one at every place would cost their product.
 */
import { PronkError } from "../errors.ts";
import { PairTable, slotCount } from "./hashing.ts";
import type { Vocabulary } from "./vocabulary.ts";

const NO_TOKEN = -1;
const ROOT = 0;

/** Steps that a text of any length may take, and more for each unit: texts in use take 1 to 3. */
const FREE_STEPS = 1_000_000;
const STEPS_PER_UNIT = 16;

export interface FoundToken {
  readonly id: number;
  /** Half-open, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

export class SpecialTokens {
  /** Edge k leads from node from[k] by unit by[k] to node k + 1. */
  readonly #edges: PairTable;
  /** Token that ends at each node, or NO_TOKEN. */
  readonly #tokens: Int32Array;
  /** The unit that all of them begin with, when it is one: most have `<`. */
  readonly #firstUnit: string | undefined;
  readonly isEmpty: boolean;
  /** Steps that are left of the text whose search began last. */
  #credit = 0;

  /** Of these texts with their ids; of equal texts the last counts, empty ones are not found. */
  constructor(texts: readonly (readonly [text: string, id: number])[]) {
    const units = texts.reduce((sum, [text]) => sum + text.length, 0);
    const from = new Uint32Array(units);
    const by = new Uint32Array(units);
    this.#edges = new PairTable(from, by, new Uint32Array(slotCount(units)));
    this.#tokens = new Int32Array(units + 1).fill(NO_TOKEN);
    let edges = 0;
    for (const [text, id] of texts) {
      let node = ROOT;
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        let edge = this.#edges.find(node, unit);
        if (edge < 0) {
          edge = edges++;
          from[edge] = node;
          by[edge] = unit;
          this.#edges.add(edge);
        }
        node = edge + 1;
      }
      if (node !== ROOT) this.#tokens[node] = id;
    }
    const firsts = new Set(texts.map(([text]) => text.charAt(0)));
    firsts.delete("");
    this.#firstUnit = firsts.size === 1 ? [...firsts][0] : undefined;
    this.isEmpty = edges === 0;
  }

  /**
   * The first special token in the text from `start` on; a text's search begins at 0.
   *
   * @throws PronkError "bad_request" where it takes too long.
   */
  next(text: string, start: number): FoundToken | undefined {
    if (this.isEmpty) return undefined;
    if (start === 0) this.#credit = FREE_STEPS + STEPS_PER_UNIT * text.length;
    const first = this.#firstUnit;
    for (let at = start; at < text.length; at++) {
      if (first !== undefined) {
        at = text.indexOf(first, at);
        if (at < 0) return undefined;
      }
      let found: FoundToken | undefined;
      let node = ROOT;
      for (let i = at; i < text.length; i++) {
        const edge = this.#edges.find(node, text.charCodeAt(i));
        if (edge < 0) break;
        node = edge + 1;
        if (--this.#credit < 0) {
          const why = "its added tokens take too long to find in this text";
          throw new PronkError("bad_request", `tokenizer: ${why}`);
        }
        const id = this.#tokens[node]!;
        if (id !== NO_TOKEN) found = { id, start: at, end: i + 1 };
      }
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** Texts and ids of the tokens for which `wanted(type)` holds. */
export function textsOfTypes(
  { types, bytes, offsets }: Vocabulary,
  wanted: (type: number) => boolean,
): [string, number][] {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return idsOfTypes(types, wanted).map((id) => [
    decoder.decode(bytes.subarray(offsets[id], offsets[id + 1])),
    id,
  ]);
}

/** Ids of the tokens for which `wanted(type)` holds, ascending. By the engine's own search: few tokens are special, and a first encoding waits for it. */
export function idsOfTypes(types: Uint8Array, wanted: (type: number) => boolean): number[] {
  const ids: number[] = [];
  for (let type = 0; type < 256; type++) {
    if (!wanted(type)) continue;
    for (let id = types.indexOf(type); id >= 0; id = types.indexOf(type, id + 1)) ids.push(id);
  }
  return ids.sort((a, b) => a - b);
}
