/** Text as it is generated: Hugging Face's generation/streamers.py. One row at a time. */
import { PronkError } from "../../errors.ts";

/** What `generate` tells about a row's tokens: first the prompt, then the rest as it comes. */
export interface BaseStreamer {
  put(ids: readonly (readonly number[])[]): void;
  end(): void;
  /** Nothing comes any more: `generate` throws this, too. */
  fail?(error: unknown): void;
}

export interface TextStreamerOptions<Options> {
  /** Say nothing of the prompt. Default false. */
  readonly skip_prompt?: boolean;
  /** Where text goes, with true at the end. Default: lines to the console, the last one at the end. */
  readonly onText?: (text: string, isEnd: boolean) => void;
  /** For the tokenizer's `decode`. */
  readonly decode?: Options;
}

/** A tokenizer, as streamers see it. */
export interface StreamedTokenizer<Options> {
  decode(ids: readonly number[], options?: Options): string;
}

/** Gives out text by whole words: up to the last space, at line ends, and CJK characters at once. */
export class TextStreamer<Options = object> implements BaseStreamer {
  readonly skip_prompt: boolean;
  readonly #tokenizer: StreamedTokenizer<Options>;
  readonly #decode: Options | undefined;
  readonly #onText: (text: string, isEnd: boolean) => void;
  #cache: number[] = [];
  /** UTF-16 units of the cache's text that are out. */
  #printed = 0;
  #isPrompt = true;

  constructor(tokenizer: StreamedTokenizer<Options>, options: TextStreamerOptions<Options> = {}) {
    this.#tokenizer = tokenizer;
    this.skip_prompt = options.skip_prompt ?? false;
    this.#decode = options.decode;
    this.#onText = options.onText ?? consoleLines();
  }

  /** @throws PronkError "bad_request" for more rows than one. */
  put(ids: readonly (readonly number[])[]): void {
    if (ids.length > 1) {
      throw new PronkError("bad_request", "TextStreamer only supports batch size 1");
    }
    const isPrompt = this.#isPrompt;
    this.#isPrompt = false;
    if (this.skip_prompt && isPrompt) return;
    this.#cache.push(...(ids[0] ?? []));
    const text = this.#tokenizer.decode(this.#cache, this.#decode);
    let until = text.lastIndexOf(" ") + 1;
    if (text.endsWith("\n")) {
      this.#cache = [];
      this.onFinalizedText(text.slice(this.#printed));
      this.#printed = 0;
      return;
    }
    if (isCjk(lastCodePoint(text))) until = text.length;
    const printable = text.slice(this.#printed, Math.max(until, this.#printed));
    this.#printed += printable.length;
    this.onFinalizedText(printable);
  }

  end(): void {
    const text = this.#cache.length > 0 ? this.#tokenizer.decode(this.#cache, this.#decode) : "";
    const rest = text.slice(this.#printed);
    this.#cache = [];
    this.#printed = 0;
    this.#isPrompt = true;
    this.onFinalizedText(rest, true);
  }

  /** Takes the text that will not change any more; for classes that do something else with it. */
  onFinalizedText(text: string, isEnd = false): void {
    this.#onText(text, isEnd);
  }
}

export interface TextIteratorStreamerOptions<Options>
  extends Omit<TextStreamerOptions<Options>, "onText"> {
  /** Seconds that a reader waits for the next text at most. */
  readonly timeout?: number;
}

/** A TextStreamer that is read: `for await (const text of streamer)` beside a running `generate`. */
export class TextIteratorStreamer<Options = object>
  extends TextStreamer<Options>
  implements AsyncIterable<string>
{
  readonly timeout: number | undefined;
  #queue: (string | undefined)[] = [];
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(
    tokenizer: StreamedTokenizer<Options>,
    options: TextIteratorStreamerOptions<Options> = {},
  ) {
    super(tokenizer, options);
    this.timeout = options.timeout;
  }

  override onFinalizedText(text: string, isEnd = false): void {
    this.#queue.push(text);
    if (isEnd) this.#queue.push(undefined);
    this.#wake?.();
  }

  /** A reader gets what was there, then the error: it does not wait for ever. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake?.();
  }

  /** @throws PronkError "engine_failed" when nothing comes for `timeout` seconds, and what `generate` throws. */
  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    for (;;) {
      while (this.#queue.length === 0) {
        if (this.#failure) throw this.#failure.error;
        await this.#more();
      }
      const text = this.#queue.shift();
      if (text === undefined) return;
      yield text;
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve, reject) => {
      const { timeout } = this;
      const timer =
        timeout === undefined
          ? undefined
          : setTimeout(() => {
              this.#wake = undefined;
              reject(
                new PronkError("engine_failed", `TextIteratorStreamer: no text for ${timeout} s`),
              );
            }, timeout * 1000);
      this.#wake = () => {
        this.#wake = undefined;
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The console adds a line end to whatever it gets, so only whole lines go there. */
function consoleLines(): (text: string, isEnd: boolean) => void {
  let line = "";
  return (text, isEnd) => {
    const lines = (line + text).split("\n");
    line = isEnd ? "" : (lines.pop() ?? "");
    for (const whole of lines) console.log(whole);
  };
}

/** Half of a pair that belongs to no character is none either. */
function lastCodePoint(text: string): number {
  const last = text.charCodeAt(text.length - 1);
  const isLow = last >= 0xdc00 && last < 0xe000;
  return text.codePointAt(text.length - (isLow ? 2 : 1)) ?? -1;
}

/** The blocks of CJK Unified Ideographs, where words have no spaces. */
const CJK: readonly (readonly [number, number])[] = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b820, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
];

function isCjk(codePoint: number): boolean {
  return CJK.some(([first, last]) => codePoint >= first && codePoint <= last);
}
