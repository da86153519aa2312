/**
 * Calls as an output of their own: `{"name": …, "parameters": {…}}`, several with "; " between.
 *
 * Source: Meta's prompt format of Llama 3.1 and 3.2, "JSON based tool calling".
 */
import type { ToolFormat } from "./format.ts";
import { createJsonSpan, type JsonSpan } from "./json-span.ts";
import type { CallParser, OutputEvent } from "./tool.ts";
import { readWholeCall } from "./whole-call.ts";

const USUAL_HEAD = '{"name": "';
const SPACE = ["", " "];
const HEADS: readonly string[] = [
  ...SPACE.map((a) => `{"name":${a}"`),
  ...SPACE.flatMap((a) =>
    SPACE.flatMap((b) => SPACE.map((c) => `{"type":${a}"function",${b}"name":${c}"`)),
  ),
];
/** An output that begins with white space is no call; better that there is none. */
const WHITE_SPACE = [" ", "\n", "\r", "\t"];

export const llama: ToolFormat = {
  name: "llama",
  manyInMessage: false,
  triggers: (names) => ({
    texts: [...WHITE_SPACE, ...HEADS.flatMap((head) => names.map((name) => `${head}${name}"`))],
    at: "start",
  }),
  calls: (tools, parallel, anyHead) => {
    const rest = {
      sequence: [
        {
          choice: tools.map(({ name, object }) => ({
            sequence: [`${name}", "parameters": `, object],
          })),
        },
        "}",
      ],
    };
    const first = { sequence: [anyHead ? { choice: HEADS } : USUAL_HEAD, rest] };
    if (!parallel) return first;
    const more = { sequence: [`; ${USUAL_HEAD}`, rest] };
    return { sequence: [first, { repeat: more, min: 0 }] };
  },
  createParser: (names) => new LlamaParser(names),
};

/** A trigger, then the arguments, whose brace is not part of it. */
const EXACT_HEAD =
  /^\{(?:"type": ?"function", ?)?"name": ?"([^"\\]*)"\s*,\s*"(?:parameters|arguments)"\s*:\s*(?=\{)/;
/** What may be a call in another spelling, with all white space taken out. */
const LOOSE_HEAD = /^\{(?:"type":"function",)?"name":"([^"\\]*)"/;
/** Longer heads are not waited for. */
const MAX_HEAD = 512;

type State = "head" | "loose" | "arguments" | "tail" | "text";

class LlamaParser implements CallParser {
  readonly #names: ReadonlySet<string>;
  /** Starts of calls without white space. */
  readonly #heads: readonly string[];
  #state: State = "head";
  #held = "";
  #span: JsonSpan = createJsonSpan();
  #spanned = 0;
  #calls = 0;

  constructor(names: readonly string[]) {
    this.#names = new Set(names);
    this.#heads = ['{"name":"', '{"type":"function","name":"'].flatMap((head) =>
      names.map((name) => `${head}${name}"`),
    );
  }

  push(text: string): OutputEvent[] {
    const events: OutputEvent[] = [];
    this.#held += text;
    while (this.#step(events));
    return events;
  }

  end(): OutputEvent[] {
    const held = this.#held;
    const isText = this.#state !== "arguments" && this.#state !== "tail";
    this.#held = "";
    this.#state = "text";
    const isSeparator = this.#calls > 0 && /^[\s;]*$/.test(held);
    return isText && held !== "" && !isSeparator ? [{ type: "text", text: held }] : [];
  }

  #step(events: OutputEvent[]): boolean {
    switch (this.#state) {
      case "head":
        return this.#head(events);
      case "loose": {
        this.#spanned += this.#span.take(this.#held, this.#spanned);
        if (!this.#span.ended) return false;
        const call = readWholeCall(this.#held.slice(0, this.#spanned), this.#names);
        if (call === undefined) return this.#become("text", 0);
        const index = this.#calls++;
        events.push({ type: "call", index, name: call.name });
        events.push({ type: "arguments", index, text: call.arguments });
        return this.#become("head", this.#spanned);
      }
      case "arguments": {
        const length = this.#span.take(this.#held, 0);
        const text = this.#held.slice(0, length);
        if (text !== "") events.push({ type: "arguments", index: this.#calls, text });
        if (!this.#span.ended) return this.#wait(length);
        this.#calls++;
        return this.#become("tail", length);
      }
      case "tail": {
        const close = this.#held.indexOf("}");
        return close >= 0 && this.#become("head", close + 1);
      }
      case "text":
        if (this.#held !== "") events.push({ type: "text", text: this.#held });
        return this.#wait(this.#held.length);
    }
  }

  #head(events: OutputEvent[]): boolean {
    // Behind a call there may be a separator, before the first nothing.
    const skipped = this.#calls === 0 ? 0 : /^[\s;]*/.exec(this.#held)![0].length;
    const head = this.#held.slice(skipped);
    if (head === "") return false;
    const match = EXACT_HEAD.exec(head);
    if (match !== null && this.#names.has(match[1]!)) {
      events.push({ type: "call", index: this.#calls, name: match[1]! });
      this.#span = createJsonSpan();
      return this.#become("arguments", skipped + match[0].length);
    }
    const compact = head.slice(0, MAX_HEAD).replaceAll(/\s/g, "");
    const loose = LOOSE_HEAD.exec(compact);
    if (loose !== null && this.#names.has(loose[1]!)) {
      // The exact head may still be on its way: what follows the name decides.
      if (/"$|",?\s*("\w*"?\s*:?\s*)?$/.test(head) && head.length < MAX_HEAD) return false;
      this.#span = createJsonSpan();
      this.#spanned = 0;
      return this.#become("loose", skipped);
    }
    const mayBecome = this.#heads.some((known) => known.startsWith(compact));
    if (mayBecome && head.length < MAX_HEAD) return false;
    return this.#become("text", 0);
  }

  #become(state: State, from: number): true {
    this.#state = state;
    this.#held = this.#held.slice(from);
    return true;
  }

  #wait(consumed: number): false {
    this.#held = this.#held.slice(consumed);
    return false;
  }
}
