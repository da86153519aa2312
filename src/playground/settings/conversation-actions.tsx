/** What can be done with a conversation: begun anew, saved, and asked for from code. */
import type { VNode } from "preact";
import { usePage } from "../page-context.ts";
import { CopyButton } from "../parts/copy-button.tsx";
import { saveFile } from "../parts/save-file.ts";
import type { Chat } from "../state/chat.ts";
import { promptOf } from "../state/conversation.ts";
import { asCurl, asTypeScript, type CodeTarget } from "./request-code.ts";
import { toJson, toMarkdown } from "./written-conversation.ts";

/** What a request is about where nothing was said yet. */
const EXAMPLE = "Say hello.";

export function ConversationActions({ chat }: { readonly chat: Chat }): VNode {
  const { kind, facts } = usePage();
  const path = chat.path.value;
  const isEmpty = path.length === 0;
  const target = (): CodeTarget => {
    const asked = promptOf(chat.conversation.peek(), path.findLast((m) => m.role === "user")?.id);
    const first = { id: "", parent: undefined, role: "user", text: EXAMPLE } as const;
    const request = chat.requestFor(isEmpty ? [first] : asked);
    return { kind, base: new URL(".", location.href), model: facts.peek()?.model ?? "", request };
  };
  return (
    <section aria-labelledby="conversation-title">
      <h3 id="conversation-title">Conversation</h3>
      <p class="hint">Kept in this browser alone.</p>
      <p class="actions">
        <button type="button" disabled={isEmpty} onClick={() => chat.clear()}>
          New conversation
        </button>
        <button
          type="button"
          disabled={isEmpty}
          onClick={() => saveFile("conversation.md", "text/markdown", toMarkdown(path))}
        >
          Save as Markdown
        </button>
        <button
          type="button"
          disabled={isEmpty}
          onClick={() =>
            saveFile("conversation.json", "application/json", toJson(chat.requestFor(path)))
          }
        >
          Save as JSON
        </button>
      </p>
      <h4>The request, as code</h4>
      <p class="actions">
        {kind === "server" && (
          <CopyButton text={() => asCurl(target())} label="Copy as curl" className="" />
        )}
        <CopyButton text={() => asTypeScript(target())} label="Copy as TypeScript" className="" />
      </p>
    </section>
  );
}
