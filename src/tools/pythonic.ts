/**
 * Calls as a Python list, which is all of an output: `[get_weather(city="Paris", days=3), now()]`.
 *
 * Source: Meta's prompt format of Llama 3.2 (1B and 3B) and Llama 4, "zero-shot function calling".
 * Values are written as JSON has them (true, not True), and read either way.
 */
import type { Structure } from "../grammar/structure.ts";
import { type CallableTool, listOfCalls, type ToolFormat } from "./format.ts";
import { createPythonArguments, type PythonArguments } from "./python-arguments.ts";
import type { CallParser, OutputEvent } from "./tool.ts";
import { isRecord } from "./whole-call.ts";

const WHITE_SPACE = [" ", "\n", "\r", "\t"];

export const pythonic: ToolFormat = {
  name: "pythonic",
  manyInMessage: true,
  triggers: (names) => ({
    texts: [...WHITE_SPACE, ...names.map((name) => `[${name}(`)],
    at: "start",
  }),
  calls: (tools, parallel) => {
    const call = {
      choice: tools.map((tool) => ({
        sequence: [`${tool.name}(`, argumentsOf(tool), ")"],
      })),
    };
    return { sequence: ["[", listOfCalls(call, ", ", parallel), "]"] };
  },
  createParser: (names) => new PythonicParser(names),
};

/** Keywords that do not keep an object from being written as keyword arguments. */
const PLAIN = new Set([
  ...["type", "properties", "required", "additionalProperties", "description", "title", "default"],
  ...["examples", "$schema", "$id", "$comment", "$defs", "definitions"],
]);
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What is no list of declared members is one dictionary, `**{…}`. */
function argumentsOf({ parameters, object, property }: CallableTool): Structure {
  if (parameters === undefined) return "";
  const { properties, required = [], additionalProperties = false } = parameters;
  const names = isRecord(properties) ? Object.keys(properties) : [];
  const isPlain =
    property !== undefined &&
    additionalProperties === false &&
    Object.keys(parameters).every((keyword) => PLAIN.has(keyword)) &&
    names.every((name) => IDENTIFIER.test(name)) &&
    Array.isArray(required) &&
    required.every((name) => names.includes(name));
  if (!isPlain || (names.length === 0 && parameters.additionalProperties !== false)) {
    return { sequence: ["**", object] };
  }
  const members = names.map((name) => ({
    text: { sequence: [`${name}=`, property(name)] },
    required: required.includes(name),
  }));
  return { members };
}

type State = "head" | "arguments" | "next" | "text" | "ended";

class PythonicParser implements CallParser {
  readonly #names: ReadonlySet<string>;
  readonly #heads: readonly string[];
  #state: State = "head";
  #held = "";
  #arguments: PythonArguments = createPythonArguments();
  #calls = 0;

  constructor(names: readonly string[]) {
    this.#names = new Set(names);
    this.#heads = names.map((name) => `[${name}(`);
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
    const isText = (this.#state === "head" || this.#state === "text") && held !== "";
    return isText ? [{ type: "text", text: held }] : [];
  }

  #step(events: OutputEvent[]): boolean {
    switch (this.#state) {
      case "head": {
        if (this.#heads.some((head) => head.startsWith(this.#held))) {
          // A head is whole with its parenthesis, and none is the start of another.
          return this.#held.endsWith("(") && this.#begin(events, 1, this.#held.length - 1);
        }
        const open = this.#held.indexOf("(");
        if (open > 0 && this.#heads.includes(this.#held.slice(0, open + 1))) {
          return this.#begin(events, 1, open);
        }
        return this.#become("text", 0);
      }
      case "arguments": {
        const { json, read } = this.#arguments.take(this.#held, 0);
        if (json !== "") events.push({ type: "arguments", index: this.#calls, text: json });
        if (!this.#arguments.ended) {
          this.#held = "";
          return false;
        }
        this.#calls++;
        return this.#become("next", read);
      }
      case "next": {
        const next = /^\s*(?:(\])|,\s*([\w.:-]+)\()/.exec(this.#held);
        if (next?.[1] !== undefined) return this.#become("ended", next[0].length);
        if (next === null || !this.#names.has(next[2]!)) return false;
        return this.#begin(events, next[0].length - 1 - next[2]!.length, next[0].length - 1);
      }
      case "ended": {
        // White space behind the list says nothing.
        if (this.#held.trim() === "") return false;
        return this.#become("text", 0);
      }
      case "text":
        if (this.#held !== "") events.push({ type: "text", text: this.#held });
        this.#held = "";
        return false;
    }
  }

  /** A call of the name from `from` to `open`, where the parenthesis is. */
  #begin(events: OutputEvent[], from: number, open: number): true {
    events.push({ type: "call", index: this.#calls, name: this.#held.slice(from, open) });
    this.#arguments = createPythonArguments();
    return this.#become("arguments", open + 1);
  }

  #become(state: State, from: number): true {
    this.#state = state;
    this.#held = this.#held.slice(from);
    return true;
  }
}
