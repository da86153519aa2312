/**
 * Tokens to text as they come, as DecodeStream of the `tokenizers` library: the text of a step is
 * what the tokens add; null while a character is incomplete.
 *
 * Source: step_decode_stream() in tokenizers/src/tokenizer/mod.rs.
 */
import { PronkError } from "../../errors.ts";
import type { PreTrainedTokenizerBase } from "./pretrained-tokenizer-base.ts";

/** What is held back ends with this, also where a text really has it. */
const INCOMPLETE = "\uFFFD";

export interface DecodeStreamOptions {
  /** Tokens that came before, as of a prompt; their text is not given. */
  readonly ids?: readonly number[];
  /** Default false. */
  readonly skip_special_tokens?: boolean;
}

export class DecodeStream {
  readonly #skip: boolean;
  #ids: number[];
  #prefix = "";
  #prefixIndex = 0;

  constructor(options: DecodeStreamOptions = {}) {
    this.#skip = options.skip_special_tokens ?? false;
    this.#ids = [...(options.ids ?? [])];
  }

  /** The text that these tokens complete, or null. */
  step(tokenizer: PreTrainedTokenizerBase, ids: number | readonly number[]): string | null {
    const decode = (tokens: readonly number[]): string =>
      tokenizer.decode(tokens, {
        skip_special_tokens: this.#skip,
        clean_up_tokenization_spaces: false,
      });
    if (this.#prefix === "" && this.#ids.length > 0) {
      const before = decode(this.#ids);
      if (!before.endsWith(INCOMPLETE)) {
        this.#prefix = before;
        this.#prefixIndex = this.#ids.length;
      }
    }
    this.#ids.push(...(typeof ids === "number" ? [ids] : ids));
    const text = decode(this.#ids);
    if (text.length <= this.#prefix.length || text.endsWith(INCOMPLETE)) return null;
    if (!text.startsWith(this.#prefix)) {
      throw new PronkError("bad_request", "DecodeStream: the tokens change the text before them");
    }
    const added = text.slice(this.#prefix.length);
    const index = this.#ids.length - this.#prefixIndex;
    this.#ids = this.#ids.slice(this.#prefixIndex);
    this.#prefix = decode(this.#ids);
    this.#prefixIndex = index;
    return added;
  }
}
