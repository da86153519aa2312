/** What stands where no message does yet: things to try. */
import type { VNode } from "preact";
import { usePage } from "../page-context.ts";
import type { Chat } from "../state/chat.ts";

/** Short, and within reach of a model of 135 million parameters. */
const EXAMPLES: readonly { readonly title: string; readonly text: string }[] = [
  { title: "Explain", text: "Explain what gravity is to a child, in three sentences." },
  { title: "List", text: "Give me five tips for a good night’s sleep, as a list." },
  {
    title: "Write",
    text: "Write a short, friendly mail that moves a meeting from Monday to Tuesday.",
  },
  { title: "Code", text: "Write a Python function that reverses a string." },
];

export function EmptyState({ chat }: { readonly chat: Chat }): VNode {
  const { facts } = usePage();
  return (
    <div class="empty">
      <h2>Talk to {facts.value?.model ?? "the model"}</h2>
      <p class="hint">Type a message below, or try one of these.</p>
      <ul class="examples">
        {EXAMPLES.map(({ title, text }) => (
          <li key={title}>
            <button type="button" class="example" onClick={() => chat.send(text)}>
              <strong>{title}</strong> <span>{text}</span>
            </button>
          </li>
        ))}
      </ul>
      {chat.cleared.value && (
        <p>
          <button type="button" onClick={() => chat.restore()}>
            Bring the last conversation back
          </button>
        </p>
      )}
    </div>
  );
}
