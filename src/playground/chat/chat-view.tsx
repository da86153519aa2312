/** The conversation and where it goes on. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { usePage } from "../page-context.ts";
import type { Chat } from "../state/chat.ts";
import { Announcer } from "./announcer.tsx";
import { Composer } from "./composer.tsx";
import { EmptyState } from "./empty-state.tsx";
import { MessageItem } from "./message.tsx";

/** Pixels from the end within which a reader follows what comes. */
const NEAR_END = 80;

export function ChatView({ chat }: { readonly chat: Chat }): VNode {
  const { engine, ModelPanel } = usePage();
  const path = chat.path.value;
  const { from } = chat.conversation.value;
  const firstInPrompt = Math.max(
    0,
    path.findIndex(({ id }) => id === from),
  );
  const scroller = useRef<HTMLDivElement>(null);
  const [isAway, goAway] = useState(false);
  const lastTop = useRef(0);
  const isEmpty = path.length === 0;
  /** Of what is said; where nothing is, the examples begin at their top. */
  const toEnd = (): void =>
    scroller.current?.scrollTo({ top: isEmpty ? 0 : scroller.current.scrollHeight });
  const onScroll = ({ scrollHeight, scrollTop, clientHeight }: HTMLElement): void => {
    const isNear = scrollHeight - scrollTop - clientHeight < NEAR_END;
    // Only who scrolls up wants to stay: what comes, and windows that shrink, move the end away, too.
    if (isNear) goAway(false);
    else if (scrollTop < lastTop.current) goAway(true);
    lastTop.current = scrollTop;
  };
  useEffect(() => {
    if (!isAway) toEnd();
    else if (scroller.current !== null) onScroll(scroller.current);
  }, [path]);
  useEffect(() => {
    const box = scroller.current;
    if (box === null || isAway) return undefined;
    const observer = new ResizeObserver(toEnd);
    observer.observe(box);
    return () => observer.disconnect();
  }, [isAway, isEmpty]);
  return (
    <section class="chat" aria-label="Chat">
      <div
        class="chat-scroll"
        ref={scroller}
        onScroll={({ currentTarget }) => onScroll(currentTarget)}
      >
        {isEmpty && engine.value === undefined && <ModelPanel />}
        {isEmpty && engine.value !== undefined && <EmptyState chat={chat} />}
        {!isEmpty && (
          <ol class="messages" aria-label="Messages">
            {path.map((message, index) => (
              <MessageItem
                key={message.id}
                chat={chat}
                message={message}
                isLeftOut={index < firstInPrompt}
                isLast={index === path.length - 1}
              />
            ))}
          </ol>
        )}
      </div>
      <Announcer chat={chat} />
      <div class="chat-foot">
        {isAway && (
          <button type="button" class="to-end" onClick={toEnd}>
            To the newest
          </button>
        )}
        {firstInPrompt > 0 && (
          <p class="hint">
            The first {firstInPrompt} messages are left out of the prompt.{" "}
            <button type="button" class="link" onClick={() => chat.lengthen()}>
              Put them back
            </button>
          </p>
        )}
        {!isEmpty && engine.value === undefined && <ModelPanel />}
        <Composer chat={chat} />
        <p class="composer-foot">
          <span class="hint keys">Enter sends, Shift and Enter begin a line, Escape stops.</span>
          {!isEmpty && (
            <button type="button" class="quiet" onClick={() => chat.clear()}>
              New conversation
            </button>
          )}
        </p>
      </div>
    </section>
  );
}
