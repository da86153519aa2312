/**
 * The data of server-sent events, as the text comes: lines end with CR LF, LF or CR, wherever the pieces are cut; each
 * character is looked at once.
 *
 * Source: HTML, 9.2.6 Interpreting an event stream.
 */
import { PronkError } from "../../errors.ts";

export class EventData {
  readonly #maxChars: number;
  /** The line that has no end yet, in its pieces. */
  #line = "";
  /** The `data:` lines of the event that has no end yet. */
  #data: string[] = [];
  #chars = 0;
  /** A line feed that comes now belongs to the carriage return before it. */
  #afterReturn = false;

  /** @param maxChars of one event with its comments */
  constructor(maxChars: number) {
    this.#maxChars = maxChars;
  }

  /** The data of the events that end in this piece; to be read to its end. @throws PronkError "source_failed" for one without end. */
  *push(piece: string): Generator<string, void, undefined> {
    const lineEnd = /\r\n|\n|\r/g;
    let from = this.#afterReturn && piece.startsWith("\n") ? 1 : 0;
    if (piece !== "") this.#afterReturn = piece.endsWith("\r");
    lineEnd.lastIndex = from;
    for (let end = lineEnd.exec(piece); end !== null; end = lineEnd.exec(piece)) {
      this.#take(piece.slice(from, end.index));
      if (this.#line === "") yield* this.#endEvent();
      else this.#endLine();
      from = lineEnd.lastIndex;
    }
    this.#take(piece.slice(from));
  }

  #take(text: string): void {
    this.#line += text;
    this.#chars += text.length;
    if (this.#chars > this.#maxChars) throw new PronkError("source_failed", "an endless event");
  }

  #endLine(): void {
    const line = this.#line;
    this.#line = "";
    if (line === "data") this.#data.push("");
    else if (line.startsWith("data:")) this.#data.push(line.slice(line[5] === " " ? 6 : 5));
  }

  /** What has no data is none. */
  *#endEvent(): Generator<string, void, undefined> {
    const data = this.#data;
    this.#data = [];
    this.#chars = 0;
    if (data.length > 0) yield data.join("\n");
  }
}
