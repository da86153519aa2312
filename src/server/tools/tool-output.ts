/** A choice's text as a chat's message or deltas, with the calls in it. */
import type { FinishReason } from "../../generate/request.ts";
import type { CallParser, OutputEvent } from "../../tools/tool.ts";
import type { OutputReader } from "../job.ts";

interface Call {
  readonly id: string;
  readonly type: "function";
  readonly function: { name: string; arguments: string };
}

/** @param idOf the id of the call with this number */
export function createToolOutput(
  parser: CallParser,
  idOf: (index: number) => string,
  onlyCalls: boolean,
): OutputReader {
  let content = "";
  const calls: Call[] = [];
  const toDelta = (event: OutputEvent): Record<string, unknown> => {
    switch (event.type) {
      case "text":
        content += event.text;
        return { delta: { content: event.text } };
      case "call": {
        const { index, name } = event;
        const call: Call = { id: idOf(index), type: "function", function: { name, arguments: "" } };
        calls.push(call);
        return { delta: { tool_calls: [{ index, ...call, function: { ...call.function } }] } };
      }
      case "arguments": {
        const { index, text } = event;
        calls[index]!.function.arguments += text; // a call's arguments follow its name
        return { delta: { tool_calls: [{ index, function: { arguments: text } }] } };
      }
    }
  };
  return {
    opening: { delta: { role: "assistant", content: onlyCalls ? null : "" } },
    push: (text) => parser.push(text).map(toDelta),
    end: () => parser.end().map(toDelta),
    whole: () => ({
      message: {
        role: "assistant",
        content: content === "" && calls.length > 0 ? null : content,
        refusal: null,
        ...(calls.length > 0 ? { tool_calls: calls } : {}),
      },
    }),
    finish: (reason: FinishReason) => {
      const last = calls.at(-1);
      if (reason !== "stop" || last === undefined) return reason;
      // A stop text may end an output anywhere: who gets half of a call has to know.
      return isJson(last.function.arguments) ? "tool_calls" : "length";
    },
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
