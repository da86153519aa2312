/**
 * The tokens that are searched in texts before the model sees them: from the file, and added later.
 * Those that are not normalized are found first, in the text as it is.
 *
 * Source: tokenizers/src/tokenizer/added_vocabulary.rs of huggingface/tokenizers.
 */
import { SpecialTokens } from "../special-tokens.ts";
import type { AddedToken } from "../tokenizer-json.ts";

/** Part of a text: a token, or what is between tokens (id undefined). */
export interface TextPart {
  readonly id: number | undefined;
  readonly start: number;
  readonly end: number;
}

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]/u;
const SPACE = /\p{White_Space}/u;

export class AddedVocabulary {
  readonly #tokens = new Map<number, AddedToken>();
  readonly #ids = new Map<string, number>();
  /** As the normalizer changes their contents. */
  readonly #normalize: (text: string) => string;
  #raw: SpecialTokens | undefined;
  #normalized: SpecialTokens | undefined;

  constructor(normalize: (text: string) => string) {
    this.#normalize = normalize;
  }

  /** Adds a token, or gives the one of this id other flags. */
  set(id: number, token: AddedToken): void {
    const before = this.#tokens.get(id);
    if (before !== undefined) this.#ids.delete(before.content);
    this.#tokens.set(id, token);
    this.#ids.set(token.content, id);
    this.#raw = undefined;
    this.#normalized = undefined;
  }

  get(id: number): AddedToken | undefined {
    return this.#tokens.get(id);
  }

  idOf(content: string): number | undefined {
    return this.#ids.get(content);
  }

  /** By id, ascending. */
  entries(): [number, AddedToken][] {
    return [...this.#tokens].sort(([a], [b]) => a - b);
  }

  /** Whether any is searched in normalized text. */
  get hasNormalized(): boolean {
    for (const token of this.#tokens.values()) if (token.normalized) return true;
    return false;
  }

  /** The parts of a text that is not normalized; special tokens are text when `special` is false. */
  split(text: string, special: boolean): TextPart[] {
    this.#raw ??= this.#search(false);
    return this.#parts(text, 0, text.length, this.#raw, special);
  }

  /** The parts of a normalized text. */
  splitNormalized(text: string, special: boolean): TextPart[] {
    this.#normalized ??= this.#search(true);
    return this.#parts(text, 0, text.length, this.#normalized, special);
  }

  #search(normalized: boolean): SpecialTokens {
    const texts: [string, number][] = [];
    for (const [id, token] of this.#tokens) {
      if (token.normalized !== normalized) continue;
      texts.push([normalized ? this.#normalize(token.content) : token.content, id]);
    }
    return new SpecialTokens(texts);
  }

  #parts(
    text: string,
    start: number,
    end: number,
    search: SpecialTokens,
    special: boolean,
  ): TextPart[] {
    const parts: TextPart[] = [];
    let done = start;
    let at = start;
    for (let found = search.next(text, at); found !== undefined; found = search.next(text, at)) {
      at = found.end;
      const token = this.#tokens.get(found.id)!;
      if (token.special && !special) continue;
      let from = found.start;
      let to = found.end;
      if (token.single_word && (isWordBefore(text, from) || isWordAt(text, to))) continue;
      if (from < done) continue;
      if (token.lstrip) while (from > done && SPACE.test(text[from - 1]!)) from--;
      if (token.rstrip) while (to < end && SPACE.test(text[to]!)) to++;
      if (from > done) parts.push({ id: undefined, start: done, end: from });
      parts.push({ id: found.id, start: from, end: to });
      done = to;
    }
    if (done < end) parts.push({ id: undefined, start: done, end });
    return parts;
  }
}

function isWordAt(text: string, at: number): boolean {
  const code = text.codePointAt(at);
  return code !== undefined && WORD.test(String.fromCodePoint(code));
}

function isWordBefore(text: string, at: number): boolean {
  const low = text.charCodeAt(at - 1);
  return isWordAt(text, at - ((low & 0xfc00) === 0xdc00 ? 2 : 1));
}
