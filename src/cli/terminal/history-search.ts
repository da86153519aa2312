/** Ctrl+R, as in shells: the newest line that has what is typed; again Ctrl+R, the one before it. */
import type { KeyTaker } from "./terminal-keys.ts";

const CTRL_C = "\x03";
const CTRL_G = "\x07";
const CTRL_R = "\x12";
const BACKSPACES = ["\x7f", "\b"];

/** What the search does to the line that is edited. */
export interface SearchedLine {
  /** The newest first. */
  readonly history: readonly string[];
  readonly text: string;
  /** Shows a prompt and a text behind it; undefined: the line's own prompt. */
  show(prompt: string | undefined, text: string): void;
}

export class HistorySearch implements KeyTaker {
  readonly #line: () => SearchedLine;
  #query = "";
  /** Of the history; -1: nothing was found. */
  #at = -1;
  #before: string | undefined;

  constructor(line: () => SearchedLine) {
    this.#line = line;
  }

  get isOn(): boolean {
    return this.#before !== undefined;
  }

  take(keys: string): string {
    const characters = [...keys];
    for (const [i, key] of characters.entries()) {
      if (key === CTRL_R) this.#again();
      else if (key === CTRL_G || key === CTRL_C) this.#end(this.#before ?? "");
      else if (BACKSPACES.includes(key)) this.#find([...this.#query].slice(0, -1).join(""));
      else if (key >= " ") this.#find(this.#query + key);
      // Whatever else it is, Enter or an arrow, it is for the line that was found.
      else this.#end(this.#found() ?? this.#line().text);
      if (!this.isOn) {
        const isCancelled = key === CTRL_G || key === CTRL_C;
        return characters.slice(isCancelled ? i + 1 : i).join("");
      }
    }
    return "";
  }

  #again(): void {
    if (this.isOn) {
      const next = this.#query === "" ? -1 : this.#indexOf(this.#query, this.#at + 1);
      if (next !== -1) this.#at = next;
    } else {
      this.#before = this.#line().text;
      this.#query = "";
      this.#at = -1;
    }
    this.#show();
  }

  #find(query: string): void {
    this.#query = query;
    this.#at = query === "" ? -1 : this.#indexOf(query, 0);
    this.#show();
  }

  #indexOf(query: string, from: number): number {
    return this.#line().history.findIndex((line, i) => i >= from && line.includes(query));
  }

  #found(): string | undefined {
    return this.#at === -1 ? undefined : this.#line().history[this.#at];
  }

  #show(): void {
    const isMissing = this.#query !== "" && this.#at === -1;
    const what = isMissing ? "nothing has" : "search";
    this.#line().show(`(${what} ${JSON.stringify(this.#query)}) `, this.#found() ?? "");
  }

  #end(text: string): void {
    this.#before = undefined;
    this.#line().show(undefined, text);
  }
}
