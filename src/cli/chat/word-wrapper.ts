/**
 * Streamed text on a terminal: words go to the next line whole, and nothing that a model writes moves the cursor or sets
 * colours. The text stays as it is otherwise: markdown is what it is.
 */

/** Of East Asian letters and of emoji: they take two columns. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Combining marks, joiners and variation selectors stand on the character before them. */
const NARROWEST = /\p{M}|\p{Cf}/u;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is found.
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

const TAB_COLUMNS = 8;

export class WordWrapper {
  readonly #columns: () => number;
  #column: number;
  /** Letters of a word whose end is not there yet. */
  #word = "";
  /** Spaces before it, which vanish at the end of a line. */
  #spaces = "";

  /**
   * @param columns of the terminal, asked each time: windows change.
   * @param column where the text begins.
   */
  constructor(columns: () => number, column = 0) {
    this.#columns = columns;
    this.#column = column;
  }

  /** What can be written of it. */
  write(text: string): string {
    let out = "";
    for (const character of text.replaceAll("\r", "").replace(CONTROLS, "\ufffd")) {
      if (character === "\n") {
        out += `${this.#flushWord()}\n`;
        this.#spaces = "";
        this.#column = 0;
      } else if (character === " " || character === "\t") {
        out += this.#flushWord();
        this.#spaces += character;
      } else this.#word += character;
    }
    return out;
  }

  /** What is left. */
  end(): string {
    return this.#flushWord();
  }

  #flushWord(): string {
    const word = this.#word;
    if (word === "") return "";
    const width = widthOf(word, 0);
    const spaces = this.#spaces;
    const behind = this.#column + widthOf(spaces, this.#column) + width;
    this.#word = "";
    this.#spaces = "";
    const columns = this.#columns();
    // A word longer than a line is broken by the terminal.
    if (behind > columns && this.#column > 0 && width <= columns) {
      this.#column = width;
      return `\n${word}`;
    }
    this.#column = behind > columns ? behind % columns : behind;
    return spaces + word;
  }
}

/** Columns that text takes from a column on. */
function widthOf(text: string, column: number): number {
  let width = 0;
  for (const character of text) {
    if (character === "\t") width += TAB_COLUMNS - ((column + width) % TAB_COLUMNS);
    else if (!NARROWEST.test(character)) width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}
