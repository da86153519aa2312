/**
 * The items of a conversation as responses keep and list them, and as the chat template reads them.
 *
 * An item's id names its response: `msg_KEY_0` is the first item that `resp_KEY` put out, `msg_KEY_in0` the
 * first that its request brought. So a reference to an item finds the response that holds it.
 */

import type { TokenEntry } from "../chat-run.ts";
import { RequestError } from "../errors.ts";
import type { InputItem, InputPart } from "../schemas/responses.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export interface OutputTextPart {
  type: "output_text";
  text: string;
  annotations: never[];
  logprobs: TokenEntry[];
}

export type ContentPart = OutputTextPart | { type: "input_text"; text: string };

export interface MessageItem {
  type: "message";
  id: string;
  status: ItemStatus;
  role: "system" | "developer" | "user" | "assistant";
  content: ContentPart[];
}

export interface FunctionCallItem {
  type: "function_call";
  id: string;
  status: ItemStatus;
  call_id: string;
  name: string;
  /** JSON. */
  arguments: string;
}

export interface FunctionCallOutputItem {
  type: "function_call_output";
  id: string;
  status: ItemStatus;
  call_id: string;
  output: string;
}

export type Item = MessageItem | FunctionCallItem | FunctionCallOutputItem;
/** What a model puts out. */
export type OutputItem = MessageItem | FunctionCallItem;

/** The same without its id, which comes when it is kept. */
export type NewItem =
  | Omit<MessageItem, "id">
  | Omit<FunctionCallItem, "id">
  | Omit<FunctionCallOutputItem, "id">;

const PREFIXES = { message: "msg", function_call: "fc", function_call_output: "fco" } as const;

/** @param place of the item: `0` in the output, `in0` in the input. */
export function itemId(type: Item["type"], key: string, place: string | number): string {
  return `${PREFIXES[type]}_${key}_${place}`;
}

/** The id of the response that holds an item; undefined for an id that no item here has. */
export function responseOfItem(id: string): string | undefined {
  const key = /^(?:msg|fc|fco)_([0-9A-Za-z]{1,64})_(?:in)?\d{1,6}$/.exec(id)?.[1];
  return key === undefined ? undefined : `resp_${key}`;
}

/**
 * A request's item, checked; undefined for one that says nothing here.
 *
 * @throws RequestError "unsupported_parameter" for other media than text, and for items of other tools.
 */
export function toItem(
  item: Exclude<InputItem, { type: "item_reference" }>,
  param: string,
): NewItem | undefined {
  const status = "completed";
  switch (item.type) {
    case undefined:
    case "message": {
      const { role } = item;
      const texts = textsOf(item.content, `${param}.content`);
      const content = texts.map(
        (text): ContentPart =>
          role === "assistant" ? outputText(text) : { type: "input_text", text },
      );
      return { type: "message", status, role, content };
    }
    case "function_call": {
      const { call_id, name } = item;
      return { type: "function_call", status, call_id, name, arguments: item.arguments };
    }
    case "function_call_output": {
      const output = textsOf(item.output, `${param}.output`).join("\n");
      return { type: "function_call_output", status, call_id: item.call_id, output };
    }
    case "reasoning":
      return undefined;
    default:
      throw unsupported(param, `an item of type ${item.type}`);
  }
}

export function outputText(text: string): OutputTextPart {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

function textsOf(content: string | InputPart[], param: string): string[] {
  if (typeof content === "string") return [content];
  return content.map((part, j) => {
    if (part.type === "refusal") return part.refusal;
    if ("text" in part) return part.text;
    throw unsupported(`${param}[${j}]`, `content of type ${part.type}`);
  });
}

export function unsupported(param: string, what: string): RequestError {
  return new RequestError("unsupported_parameter", `${param}: ${what} is not supported`, { param });
}
