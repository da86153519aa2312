/** How a family of models writes its calls. */
import type { Structure } from "../grammar/structure.ts";
import type { CallParser, Tool } from "./tool.ts";

export interface ToolFormat {
  readonly name: "hermes" | "llama" | "pythonic";
  /** Whether a conversation's message may hold several calls. */
  readonly manyInMessage: boolean;
  /** What only a call begins with, and where it may stand. */
  triggers(names: readonly string[]): {
    readonly texts: string[];
    readonly at: "start" | "anywhere";
  };
  /**
   * One call, or more.
   *
   * @param anyHead in each spelling of a trigger, else in the usual one
   */
  calls(tools: readonly CallableTool[], parallel: boolean, anyHead: boolean): Structure;
  /** @param names of the functions that may be called; calls of others are text. */
  createParser(names: readonly string[]): CallParser;
}

/** A function with what its arguments may be. */
export interface CallableTool {
  readonly name: string;
  readonly parameters: Tool["parameters"];
  /** The arguments as a JSON object. */
  readonly object: Structure;
  /** Of one of `parameters`' properties; undefined where only the whole object is known. */
  readonly property: ((name: string) => Structure) | undefined;
}

/** `call` once, or as often as wanted with `separator` between. */
export function listOfCalls(call: Structure, separator: string, parallel: boolean): Structure {
  if (!parallel) return call;
  return { sequence: [call, { repeat: { sequence: [separator, call] }, min: 0 }] };
}
