/** An output that has to follow a grammar: which tokens may come, and which must. */
import { PronkError } from "../errors.ts";
import type { GrammarMatcher } from "../grammar/matcher.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

/** Fewer forced bytes are often one token with what follows them. */
const LEAST_FORCED_BYTES = 4;

const ALL_BITS = 0xffffffff;

/** SentencePiece puts a space before what it takes for the start of a text: then this stands there instead. */
const BEFORE = "\n";
const SPACE = 0x20;

export class Constraint {
  readonly #matcher: GrammarMatcher;
  readonly #tokenizer: Tokenizer;
  readonly #endIds: readonly number[];
  readonly #allowed: Uint32Array;
  /** The tokens that come next, as far as they are known; undefined until they are looked for. */
  #forced: number[] | undefined;

  /** @param endIds tokens that end the output: they may come where the text is complete, and only there */
  constructor(matcher: GrammarMatcher, tokenizer: Tokenizer, endIds: Iterable<number>) {
    this.#matcher = matcher;
    this.#tokenizer = tokenizer;
    this.#endIds = [...endIds];
    this.#allowed = new Uint32Array(Math.ceil(tokenizer.vocabSize / 32));
  }

  /** The text is complete, and nothing can follow. */
  get finished(): boolean {
    return this.#matcher.finished;
  }

  /**
   * Takes every token away that may not come, and counts those that may.
   *
   * @throws PronkError "engine_failed" when no token is left, "bad_request" for a grammar that cannot be followed.
   */
  mask(scores: Float32Array): number {
    const allowed = this.#allowed.fill(0);
    this.#matcher.addAllowed(allowed);
    const { complete } = this.#matcher;
    for (const id of this.#endIds) {
      // A model's head may have more rows than there are tokens; padding ends nothing.
      if (id >= this.#tokenizer.vocabSize) continue;
      if (complete) allowed[id >>> 5] |= 1 << (id & 31);
      else allowed[id >>> 5] &= ~(1 << (id & 31));
    }
    scores.fill(Number.NEGATIVE_INFINITY, this.#tokenizer.vocabSize);
    let count = 0;
    for (let word = 0; word < allowed.length; word++) {
      const bits = allowed[word];
      if (bits === ALL_BITS) {
        count += Math.min(32, scores.length - (word << 5));
        continue;
      }
      const first = word << 5;
      if (bits === 0) {
        // Mostly few may come: what cannot is long runs.
        while (allowed[word + 1] === 0) word++;
        scores.fill(Number.NEGATIVE_INFINITY, first, (word + 1) << 5);
        continue;
      }
      const bitCount = Math.min(32, scores.length - first);
      for (let i = 0; i < bitCount; i++) {
        if (((bits >>> i) & 1) === 0) scores[first + i] = Number.NEGATIVE_INFINITY;
        else count++;
      }
    }
    if (count === 0) {
      throw new PronkError("engine_failed", "grammar: no token of the vocabulary can come next");
    }
    return count;
  }

  /** `id` is part of the output now; one that ends a turn is not of its text. */
  accept(id: number): void {
    if (this.#endIds.includes(id)) return;
    this.#matcher.accept(this.#tokenizer.tokenBytes(id));
    const known = this.#forced;
    // Behind the last of them it is looked again.
    if (known?.[0] === id && known.length > 1) known.shift();
    else this.#forced = undefined;
  }

  /** The token that comes whatever is chosen; undefined where there is a choice. */
  nextForced(): number | undefined {
    this.#forced ??= this.#tokenize(this.#matcher.forcedBytes());
    return this.#forced[0];
  }

  /** As the tokenizer splits them; the last token may be a longer one once the text goes on, so it is chosen. */
  #tokenize(bytes: Uint8Array): number[] {
    if (bytes.length < LEAST_FORCED_BYTES) return [];
    const text = new TextDecoder("utf-8").decode(bytes);
    if (text.includes("\ufffd")) return [];
    return this.#spell(text, bytes, "") ?? this.#spell(text, bytes, BEFORE) ?? [];
  }

  /** Behind `before`, whose tokens are left out; undefined where a token is of both, or spells another text. */
  #spell(text: string, bytes: Uint8Array, before: string): number[] | undefined {
    const options = { addSpecialTokens: false, continuation: true };
    const ids = this.#tokenizer.encode(before + text, options);
    let first = 0;
    for (let left = before.length; left > 0 && first < ids.length; first++) {
      const spelled = this.#tokenizer.tokenBytes(ids[first]);
      if (spelled.at(-1) === before.charCodeAt(before.length - 1)) left = 0;
      else if (spelled.some((byte) => byte !== SPACE)) return undefined;
    }
    const kept = ids.slice(first, -1);
    let at = 0;
    for (const id of kept) {
      for (const byte of this.#tokenizer.tokenBytes(id)) if (bytes[at++] !== byte) return undefined;
    }
    return kept;
  }
}
