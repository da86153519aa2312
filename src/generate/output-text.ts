/**
 * The text of a generation, token by token: decoding that never splits a code point, then stop texts.
 * Special tokens have no text.
 */
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { createStopMatcher } from "./stop-matcher.ts";

export interface OutputText {
  /** The text that became certain with this token. */
  push(id: number): string;
  /** The stop text that was found: the text is complete. */
  readonly stop: string | undefined;
  /** What is held back, when the output ends: U+FFFD for incomplete bytes. */
  flush(): string;
}

export function createOutputText(tokenizer: Tokenizer, stops: readonly string[]): OutputText {
  // It goes on behind a prompt: the first space of a SentencePiece token is text.
  const decoder = tokenizer.createDecoder({ skipSpecialTokens: true, continuation: true });
  const matcher = createStopMatcher(stops);
  return {
    get stop() {
      return matcher.found;
    },
    push(id) {
      // A model's head may have more rows than its tokenizer has tokens: padding, without text.
      return id < tokenizer.vocabSize ? matcher.push(decoder.push(id)) : "";
    },
    flush() {
      if (matcher.found !== undefined) return "";
      return matcher.push(decoder.flush()) + matcher.flush();
    },
  };
}
