/** Markdown that grows at its end, read again only where more text can change what it is. */
import { Lexer, type Token } from "marked";

/**
 * Tokens at the end that are read again: the last block, which goes on, and what a list goes on behind, an empty
 * line and a block before it.
 */
const UNSURE_TOKENS = 3;

/** What takes longer, so many times in a row, waits for its end: a list of hundreds of levels takes seconds. */
const MAX_MS = 100;
const SLOW_READS = 3;

export class GrowingBlocks {
  #text = "";
  #blocks: readonly Token[] = [];
  #slowReads = 0;
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * The blocks of a text, most often the last one and more. Those that stay are the same objects.
   *
   * Links by a reference that is defined later stay text until the text is read from its start.
   */
  read(text: string): readonly Token[] {
    const grows = text.startsWith(this.#text);
    const kept = grows ? this.#blocks.slice(0, -UNSURE_TOKENS) : [];
    const start = kept.reduce((sum, { raw }) => sum + raw.length, 0);
    // Where marked has changed what it read (tabs, line ends), places cannot be told.
    const isExact = kept.map(({ raw }) => raw).join("") === text.slice(0, start);
    const rest = isExact ? text.slice(start) : text;
    const begun = this.#now();
    const isSlow = this.#slowReads >= SLOW_READS;
    // From then on the rest is shown as it is written.
    const read = isSlow ? [{ type: "text", raw: rest, text: rest }] : blocksOf(rest);
    if (!isSlow) this.#slowReads = this.#now() - begun > MAX_MS ? this.#slowReads + 1 : 0;
    this.#blocks = isExact ? [...kept, ...read] : read;
    this.#text = text;
    return this.#blocks;
  }
}

/** What marked makes of a text; the text itself where that fails, as it does at thousands of levels. */
export function blocksOf(text: string): Token[] {
  try {
    return new Lexer({ gfm: true }).lex(text);
  } catch {
    return [{ type: "text", raw: text, text }];
  }
}
