/** A conversation's items as the messages of a chat request. */
import type { NewItem } from "./items.ts";

/** A message of chat's body. */
export type Message = Record<string, unknown> & { readonly role: string };

/** A message, and the items that it is made of. */
export interface Turn {
  readonly message: Message;
  /** The first of them. */
  readonly from: number;
  /** Those that are its calls. */
  readonly calls: readonly number[];
}

/** An answer's text and the calls behind it are one message, as chat has them. */
export function toTurns(items: readonly NewItem[]): Turn[] {
  const turns: Turn[] = [];
  items.forEach((item, from) => {
    if (item.type === "message") {
      const content = item.content.map(({ text }) => ({ type: "text", text }));
      turns.push({ message: { role: item.role, content }, from, calls: [] });
    } else if (item.type === "function_call_output") {
      const { call_id: tool_call_id, output: content } = item;
      turns.push({ message: { role: "tool", tool_call_id, content }, from, calls: [] });
    } else {
      const call = {
        id: item.call_id,
        type: "function",
        function: { name: item.name, arguments: item.arguments },
      };
      const last = turns.at(-1);
      if (last?.message.role !== "assistant") {
        const message = { role: "assistant", content: null, tool_calls: [call] };
        turns.push({ message, from, calls: [from] });
      } else {
        const before = (last.message.tool_calls ?? []) as unknown[];
        const message = { ...last.message, tool_calls: [...before, call] };
        turns[turns.length - 1] = { message, from: last.from, calls: [...last.calls, from] };
      }
    }
  });
  return turns;
}
