/**
 * What a terminal sends, before readline sees it: a paste becomes text of one line, whose ends of lines are shown as a sign;
 * Ctrl+R belongs to the search; what is typed while nobody reads waits, so that it is not echoed into an answer.
 *
 * Source: xterm's control sequences, "Bracketed Paste Mode" (DECSET 2004).
 */
import { PassThrough } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** Stands for the end of a line inside a message that is edited as one line. */
export const LINE_SIGN = "⏎";

export const PASTE_ON = "\x1b[?2004h";
export const PASTE_OFF = "\x1b[?2004l";
const PASTE_BEGINS = "\x1b[200~";
const PASTE_ENDS = "\x1b[201~";

const CTRL_C = "\x03";
const CTRL_R = "\x12";

/** The rest of a mark comes at once; the Escape key is followed by nothing. */
const ESCAPE_MS = 50;

/** Of a paste, and of what is typed ahead: no context holds as much. */
const MAX_CHARS = 1_000_000;

/** Takes the keys while it is on. */
export interface KeyTaker {
  readonly isOn: boolean;
  /** @returns what readline is to get of them. */
  take(keys: string): string;
}

export interface TerminalKeysOptions {
  readonly search: KeyTaker;
  /** What Ctrl+C does now, while nobody reads; undefined: it waits for who reads next, as other keys do. */
  interrupt(): (() => void) | undefined;
}

export class TerminalKeys {
  /** Readline's input. */
  readonly stream: PassThrough & { isTTY: boolean; setRawMode(isRaw: boolean): unknown };
  readonly #decoder = new StringDecoder("utf8");
  readonly #options: TerminalKeysOptions;
  readonly #input: NodeJS.ReadStream;
  readonly #onData = (bytes: Uint8Array | string): void => this.#feed(bytes);
  readonly #onEnd = (): void => void this.stream.end();
  #isReading = false;
  /** Typed ahead. */
  #held = "";
  /** The beginning of a mark, perhaps. */
  #rest = "";
  #escape: ReturnType<typeof setTimeout> | undefined;
  #pasted: string | undefined;

  constructor(input: NodeJS.ReadStream, options: TerminalKeysOptions) {
    this.#input = input;
    this.#options = options;
    this.stream = Object.assign(new PassThrough(), {
      isTTY: true,
      setRawMode: (isRaw: boolean) => input.setRawMode(isRaw),
    });
    input.on("data", this.#onData).once("end", this.#onEnd);
  }

  /** From now on somebody reads, up to the end of a line, or nobody does. */
  setReading(isReading: boolean): void {
    this.#isReading = isReading;
    if (!isReading) return;
    const held = this.#held;
    this.#held = "";
    this.#type(held);
  }

  close(): void {
    clearTimeout(this.#escape);
    this.#input.off("data", this.#onData).off("end", this.#onEnd);
    this.#input.pause();
  }

  #feed(bytes: Uint8Array | string): void {
    let text =
      this.#rest + (typeof bytes === "string" ? bytes : this.#decoder.write(bytes as Buffer));
    this.#rest = "";
    clearTimeout(this.#escape);
    while (text !== "") {
      const mark = this.#pasted === undefined ? PASTE_BEGINS : PASTE_ENDS;
      const at = text.indexOf(mark);
      const end = at === -1 ? text.length - tailOf(text, mark) : at;
      if (this.#pasted === undefined) this.#arrive(text.slice(0, end));
      else this.#pasted = (this.#pasted + text.slice(0, end)).slice(0, MAX_CHARS);
      if (at === -1) {
        this.#rest = text.slice(end);
        if (this.#pasted === undefined) this.#releaseLater();
        return;
      }
      text = text.slice(at + mark.length);
      const whole = this.#pasted;
      this.#pasted = whole === undefined ? "" : undefined;
      if (whole !== undefined) this.#arrive(asOneLine(whole));
    }
  }

  /** What only looked like a mark. */
  #releaseLater(): void {
    this.#escape = setTimeout(() => {
      const keys = this.#rest;
      this.#rest = "";
      this.#arrive(keys);
    }, ESCAPE_MS);
  }

  #arrive(keys: string): void {
    if (keys === "") return;
    if (this.#isReading) {
      this.#type(keys);
      return;
    }
    // Of several the last counts: what was typed before it is taken back.
    const at = keys.lastIndexOf(CTRL_C);
    if (at === -1) this.#hold(keys);
    else {
      this.#held = "";
      const interrupt = this.#options.interrupt();
      interrupt?.();
      this.#hold(keys.slice(interrupt ? at + 1 : at));
    }
  }

  #hold(keys: string): void {
    this.#held = (this.#held + keys).slice(0, MAX_CHARS);
  }

  #type(keys: string): void {
    const { search } = this.#options;
    // The first half as it was, the search's from its key on.
    const at = search.isOn ? 0 : keys.indexOf(CTRL_R);
    if (at === -1) this.#pass(keys);
    else {
      this.#pass(keys.slice(0, at));
      // Behind the end of a line nothing is searched.
      if (this.#isReading) this.#pass(search.take(keys.slice(at)));
      else this.#held += keys.slice(at);
    }
  }

  #pass(keys: string): void {
    const end = keys.search(/[\r\n]/) + 1 || keys.length;
    // What is behind the end of a line belongs to whoever reads next.
    this.#isReading = !/[\r\n]$/.test(keys.slice(0, end));
    if (!this.#isReading) this.#held = keys.slice(end) + this.#held;
    if (end > 0) this.stream.write(Buffer.from(keys.slice(0, end)));
  }
}

/** How many characters at the end may be the beginning of the mark. */
function tailOf(text: string, mark: string): number {
  for (let chars = Math.min(mark.length - 1, text.length); chars > 0; chars--) {
    if (mark.startsWith(text.slice(-chars))) return chars;
  }
  return 0;
}

/** Without what a terminal would take for keys: Ctrl+C in a paste ends nothing. */
function asOneLine(text: string): string {
  const kept = text.replace(/\r\n?|\n/g, "\n").replace(/\t/g, "  ");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed.
  return kept.replace(/[\x00-\x09\x0b-\x1f\x7f]/g, "").replaceAll("\n", LINE_SIGN);
}
