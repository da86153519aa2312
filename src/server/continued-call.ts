/** A tool call as the parts of a stream make it up. */
import type { ToolCall, ToolCallDelta } from "./chat-run.ts";

export function continuedCall(
  call: ToolCall | undefined,
  { id, function: more }: ToolCallDelta,
): ToolCall {
  return {
    id: call?.id ?? id ?? "",
    type: "function",
    function: {
      name: call?.function.name ?? more?.name ?? "",
      arguments: (call?.function.arguments ?? "") + (more?.arguments ?? ""),
    },
  };
}
