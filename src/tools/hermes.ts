/**
 * Calls in tags, anywhere in a text: `<tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>`.
 *
 * Source: the Hermes function-calling format, which Qwen's and many other ChatML templates write.
 */
import { listOfCalls, type ToolFormat } from "./format.ts";
import { createJsonSpan, type JsonSpan } from "./json-span.ts";
import type { CallParser, OutputEvent } from "./tool.ts";
import { readWholeCall } from "./whole-call.ts";

const OPEN = "<tool_call>";
const CLOSE = "</tool_call>";

export const hermes: ToolFormat = {
  name: "hermes",
  manyInMessage: true,
  triggers: () => ({ texts: [OPEN], at: "anywhere" }),
  calls: (tools, parallel) =>
    listOfCalls(
      {
        sequence: [
          `${OPEN}\n{"name": "`,
          {
            choice: tools.map(({ name, object }) => ({
              sequence: [`${name}", "arguments": `, object],
            })),
          },
          `}\n${CLOSE}`,
        ],
      },
      "\n",
      parallel,
    ),
  createParser: (names) => new HermesParser(new Set(names)),
};

/** The arguments' brace is not part of it. */
const HEAD = /^\s*\{\s*"name"\s*:\s*"([^"\\]*)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)/;

type State = "text" | "head" | "arguments" | "tail";

class HermesParser implements CallParser {
  readonly #names: ReadonlySet<string>;
  #state: State = "text";
  /** What is not decided: white space and the start of a tag, a call's head, or what follows it. */
  #held = "";
  /** White space before the tag, which is left out where a call follows. */
  #gap = "";
  /** Where in `held` its end is looked for. */
  #searched = 0;
  #span: JsonSpan = createJsonSpan();
  #calls = 0;

  constructor(names: ReadonlySet<string>) {
    this.#names = names;
  }

  push(text: string): OutputEvent[] {
    const events: OutputEvent[] = [];
    this.#held += text;
    while (this.#step(events));
    return events;
  }

  end(): OutputEvent[] {
    const held = this.#held;
    this.#held = "";
    if (this.#state === "text") {
      const rest = this.#calls > 0 ? held.trimEnd() : held;
      return rest === "" ? [] : [{ type: "text", text: rest }];
    }
    return this.#state === "head" ? this.#whole(held, "") : [];
  }

  /** Whether there may be more to do. */
  #step(events: OutputEvent[]): boolean {
    switch (this.#state) {
      case "text": {
        const open = this.#held.indexOf(OPEN);
        if (open >= 0) {
          const before = this.#held.slice(0, open);
          const text = before.trimEnd();
          pushText(events, text);
          this.#gap = before.slice(text.length);
          this.#goOn("head", open + OPEN.length);
          return true;
        }
        const keep = undecided(this.#held);
        pushText(events, this.#held.slice(0, keep));
        this.#held = this.#held.slice(keep);
        return false;
      }
      case "head": {
        const match = HEAD.exec(this.#held);
        if (match !== null && this.#names.has(match[1]!)) {
          events.push({ type: "call", index: this.#calls, name: match[1]! });
          this.#span = createJsonSpan();
          this.#goOn("arguments", match[0].length);
          return true;
        }
        const close = this.#findClose();
        if (close < 0) return false;
        events.push(...this.#whole(this.#held.slice(0, close), CLOSE));
        this.#goOn("text", close + CLOSE.length);
        return true;
      }
      case "arguments": {
        const length = this.#span.take(this.#held, 0);
        if (length > 0) {
          const text = this.#held.slice(0, length);
          events.push({ type: "arguments", index: this.#calls, text });
        }
        if (!this.#span.ended) {
          this.#held = "";
          return false;
        }
        this.#calls++;
        this.#goOn("tail", length);
        return true;
      }
      case "tail": {
        const close = this.#findClose();
        if (close < 0) return false;
        this.#goOn("text", close + CLOSE.length);
        return true;
      }
    }
  }

  #goOn(state: State, from: number): void {
    this.#state = state;
    this.#held = this.#held.slice(from);
    this.#searched = 0;
  }

  #findClose(): number {
    const close = this.#held.indexOf(CLOSE, this.#searched);
    this.#searched = Math.max(0, this.#held.length - CLOSE.length);
    return close;
  }

  /** What stands between the tags, as a call where it is one. */
  #whole(body: string, close: string): OutputEvent[] {
    const call = readWholeCall(body, this.#names);
    if (call === undefined) return [{ type: "text", text: `${this.#gap}${OPEN}${body}${close}` }];
    const index = this.#calls++;
    return [
      { type: "call", index, name: call.name },
      { type: "arguments", index, text: call.arguments },
    ];
  }
}

/** Where the white space at the end begins, or the start of a tag with the white space before it. */
function undecided(text: string): number {
  let end = text.length;
  for (let length = Math.min(OPEN.length - 1, text.length); length > 0; length--) {
    if (!text.endsWith(OPEN.slice(0, length))) continue;
    end = text.length - length;
    break;
  }
  return text.slice(0, end).trimEnd().length;
}

function pushText(events: OutputEvent[], text: string): void {
  if (text !== "") events.push({ type: "text", text });
}
