/**
 * What a screen reader hears of an answer: each sentence once, when it is whole, and how it ended. The answer
 * itself is no live region: every token would interrupt the one before.
 */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Chat } from "../state/chat.ts";
import { endOf, nextPiece, plain } from "./spoken-pieces.ts";

/** Read long ago; what is new is read by itself. */
const KEPT = 4;

export function Announcer({ chat }: { readonly chat: Chat }): VNode {
  const [said, say] = useState<readonly { readonly key: number; readonly text: string }[]>([]);
  const progress = useRef({ id: "", chars: 0, next: 0 });
  const last = chat.path.value.at(-1);
  useEffect(() => {
    const now = progress.current;
    if (last?.role !== "assistant") return;
    if (last.id !== now.id) {
      // Of an answer that was there before nothing is said.
      now.id = last.id;
      now.chars = last.state === "running" ? 0 : Number.POSITIVE_INFINITY;
    }
    const text = nextPiece(last, now.chars);
    if (text === undefined) return;
    now.chars = last.state === "running" ? now.chars + text.length : Number.POSITIVE_INFINITY;
    const spoken = plain(text) + endOf(last);
    if (spoken.trim() === "") return;
    say((before) => [...before, { key: now.next++, text: spoken }].slice(-KEPT));
  }, [last]);
  return (
    <div class="unseen" aria-live="polite" aria-relevant="additions" data-announcer>
      {said.map(({ key, text }) => (
        <p key={key}>{text}</p>
      ))}
    </div>
  );
}
