/** One message of the conversation, and what can be done with it. */
import type { VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import { CopyButton } from "../parts/copy-button.tsx";
import { later } from "../parts/later.tsx";
import type { Chat } from "../state/chat.ts";
import { type Message, placeOf } from "../state/conversation.ts";
import { TokenView } from "../views/views.ts";
import { EditMessage } from "./edit-message.tsx";
import { FiguresLine, RunningLine } from "./figures-line.tsx";
import { MessageNotice } from "./message-notice.tsx";

/** marked is a third of the page's code, and of use from the first answer on. */
const Markdown = later(
  async () => (await import("./markdown.tsx")).Markdown,
  ({ text }: { readonly text: string; readonly isGrowing: boolean }) => (
    <div class="markdown">
      <p>{text}</p>
    </div>
  ),
);

export interface MessageProps {
  readonly chat: Chat;
  readonly message: Message;
  /** Whether older messages were left out of the prompt, this one among them. */
  readonly isLeftOut: boolean;
  readonly isLast: boolean;
}

export function MessageItem({ chat, message, isLeftOut, isLast }: MessageProps): VNode {
  const [isEdited, edit] = useState(false);
  const item = useRef<HTMLLIElement>(null);
  const endEdit = (): void => {
    edit(false);
    // Where the form was.
    setTimeout(() => item.current?.querySelector<HTMLElement>("[data-edit]")?.focus());
  };
  const isUser = message.role === "user";
  const name = isUser ? "You" : "Answer";
  return (
    <li ref={item} class={`message ${message.role}${isLeftOut ? " left-out" : ""}`}>
      <h2 class={isUser ? "unseen" : "message-name"}>
        {name}
        {!isUser && message.model && <span class="hint"> {message.model}</span>}
      </h2>
      {isUser && isEdited ? (
        <EditMessage chat={chat} message={message} onEnd={endEdit} />
      ) : (
        <>
          {isUser ? <p class="said">{message.text}</p> : <Answer chat={chat} message={message} />}
          <Actions chat={chat} message={message} onEdit={() => edit(true)} isLast={isLast} />
        </>
      )}
    </li>
  );
}

function Answer({ chat, message }: { readonly chat: Chat; readonly message: Message }): VNode {
  const [isTokens, showTokens] = useState(false);
  const { text, state, logprobs } = message;
  const isRunning = state === "running";
  return (
    <>
      {isTokens && logprobs ? (
        <TokenView tokens={logprobs} />
      ) : (
        text !== "" && <Markdown text={text} isGrowing={isRunning} />
      )}
      {isRunning && <RunningLine live={chat.live} />}
      <MessageNotice chat={chat} message={message} />
      {message.figures && <FiguresLine figures={message.figures} />}
      {logprobs && logprobs.length > 0 && !isRunning && (
        <button
          type="button"
          class="quiet"
          aria-pressed={isTokens}
          onClick={() => showTokens(!isTokens)}
        >
          Token by token
        </button>
      )}
    </>
  );
}

interface ActionsProps {
  readonly chat: Chat;
  readonly message: Message;
  readonly onEdit: () => void;
  readonly isLast: boolean;
}

function Actions({ chat, message, onEdit, isLast }: ActionsProps): VNode | null {
  const isBusy = chat.running.value !== undefined;
  if (message.state === "running") return null;
  const isUser = message.role === "user";
  const isUnanswered = isUser && isLast;
  return (
    <div class="message-actions">
      <Versions chat={chat} message={message} isBusy={isBusy} />
      {message.text !== "" && (
        <CopyButton text={message.text} label={isUser ? "Copy message" : "Copy answer"} />
      )}
      {isUser && (
        <button type="button" class="quiet" data-edit disabled={isBusy} onClick={onEdit}>
          Edit
        </button>
      )}
      {!isUser && message.state !== "failed" && (
        <button type="button" class="quiet" disabled={isBusy} onClick={() => chat.retry(message)}>
          Try again
        </button>
      )}
      {isUnanswered && (
        <button type="button" class="quiet" disabled={isBusy} onClick={() => chat.ask(message)}>
          Get an answer
        </button>
      )}
    </div>
  );
}

/** `‹ 1 of 2 ›`, where a message was edited or asked for again. */
function Versions({
  chat,
  message,
  isBusy,
}: Pick<ActionsProps, "chat" | "message"> & { readonly isBusy: boolean }): VNode | null {
  const { index, of } = placeOf(chat.conversation.value, message);
  if (of < 2) return null;
  const button = (label: string, sign: string, by: number, isEnd: boolean): VNode => (
    <button
      type="button"
      class="quiet"
      aria-label={label}
      aria-disabled={isEnd || isBusy}
      onClick={() => !isEnd && !isBusy && chat.step(message, by)}
    >
      {sign}
    </button>
  );
  return (
    <span class="versions">
      {button("Earlier version of this message", "‹", -1, index === 0)}
      <span aria-live="polite">
        {index + 1} of {of}
      </span>
      {button("Later version of this message", "›", 1, index === of - 1)}
    </span>
  );
}
