/** A message of one's own, changed where it stands: the conversation goes on from there on a branch of its own. */
import type { VNode } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Chat } from "../state/chat.ts";
import type { Message } from "../state/conversation.ts";
import { isSendKey } from "./send-key.ts";

export interface EditMessageProps {
  readonly chat: Chat;
  readonly message: Message;
  readonly onEnd: () => void;
}

export function EditMessage({ chat, message, onEnd }: EditMessageProps): VNode {
  const [text, setText] = useState(message.text);
  const area = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  useEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(message.text.length, message.text.length);
  }, [message]);
  const isEmpty = text.trim() === "";
  const isBusy = chat.running.value !== undefined;
  const save = (): void => {
    if (isEmpty || isBusy) return;
    onEnd();
    chat.edit(message, text);
  };
  return (
    <form
      class="edit"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <label for={id}>Your message, changed</label>
      <textarea
        id={id}
        ref={area}
        rows={Math.min(12, text.split("\n").length + 1)}
        value={text}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onEnd();
          if (!isSendKey(event)) return;
          event.preventDefault();
          save();
        }}
      />
      <p class="actions">
        <button type="submit" class="primary" disabled={isEmpty || isBusy}>
          Send changed
        </button>
        <button type="button" onClick={onEnd}>
          Cancel
        </button>
      </p>
    </form>
  );
}
