/** Where a message is typed, sent, and its answer stopped. What is typed is never lost. */
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { usePage } from "../page-context.ts";
import type { Chat } from "../state/chat.ts";
import { isSendKey } from "./send-key.ts";

/** Lines that the field grows to. */
const MAX_HEIGHT_REM = 14;

export function Composer({ chat }: { readonly chat: Chat }): VNode {
  const { engine } = usePage();
  const area = useRef<HTMLTextAreaElement>(null);
  const text = chat.draft.value;
  const isRunning = chat.running.value !== undefined;
  const isEmpty = text.trim() === "";
  const isNew = chat.path.value.length === 0;

  useEffect(() => {
    const field = area.current;
    if (field === null) return;
    field.style.height = "auto";
    const most = MAX_HEIGHT_REM * Number.parseFloat(getComputedStyle(document.body).fontSize);
    field.style.height = `${Math.min(field.scrollHeight + 2, most)}px`;
  }, [text]);

  // Who pressed what is gone now, as an example or "Try again", goes on typing here.
  const isShown = useRef(false);
  useEffect(() => {
    const isLost = isShown.current && document.activeElement === document.body;
    isShown.current = true;
    if (isLost && !matchMedia("(pointer: coarse)").matches) area.current?.focus();
  }, [isRunning, isNew]);

  const send = (): void => {
    if (isEmpty || isRunning || engine.value === undefined) return;
    chat.draft.value = "";
    chat.send(text);
    area.current?.focus();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <label class="unseen" for="message">
        Message
      </label>
      <textarea
        id="message"
        ref={area}
        rows={1}
        placeholder="Say something to the model"
        value={text}
        onInput={({ currentTarget }) => {
          chat.draft.value = currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape" && isRunning) chat.stop();
          if (!isSendKey(event)) return;
          event.preventDefault();
          send();
        }}
      />
      {isRunning ? (
        <button type="button" class="primary" onClick={() => chat.stop()}>
          Stop
        </button>
      ) : (
        <button type="submit" class="primary" aria-disabled={isEmpty || engine.value === undefined}>
          Send
        </button>
      )}
    </form>
  );
}
