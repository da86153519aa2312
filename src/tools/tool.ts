/** Functions that a model may ask to be called, and its calls. */

export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** The JSON Schema of the arguments, an object's. Absent: it takes none. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Refuse a schema that cannot be made sure of, also where the model need not call. */
  readonly strict?: boolean;
}

/** As it stands in a conversation. */
export interface ToolCall {
  readonly name: string;
  /** As JSON: an object. */
  readonly arguments: string;
}

/** What a piece of a model's output turned out to be. */
export type OutputEvent =
  | { readonly type: "text"; readonly text: string }
  /** Calls are numbered from 0, and one is complete before the next begins. */
  | { readonly type: "call"; readonly index: number; readonly name: string }
  /** The next piece of the arguments' JSON. */
  | { readonly type: "arguments"; readonly index: number; readonly text: string };

/** Finds the calls in an output that arrives in pieces. What comes out depends on the text alone. */
export interface CallParser {
  push(text: string): OutputEvent[];
  /** What was held back, at the end of the output. */
  end(): OutputEvent[];
}
