/** Why there is no more of an answer, where it stands, with what can be done about it. */
import type { VNode } from "preact";
import { usePage } from "../page-context.ts";
import { count } from "../parts/numbers.ts";
import type { Chat } from "../state/chat.ts";
import { type Message, promptOf } from "../state/conversation.ts";

interface NoticeProps {
  readonly chat: Chat;
  readonly message: Message;
}

export function MessageNotice({ chat, message }: NoticeProps): VNode | null {
  const { state, finishReason, error } = message;
  if (state === "failed" && error !== undefined) return <Failure chat={chat} message={message} />;
  if (state === "stopped") return <p class="hint">Stopped.</p>;
  if (finishReason === "length") return <CutOff chat={chat} message={message} />;
  return null;
}

/** What to do, in a sentence, by the error's code. */
const NEXT: Readonly<Record<string, string>> = {
  overloaded: "Others are being answered. Try again in a moment.",
  loading: "The model is still being loaded. Try again in a moment.",
  unavailable: "The server is busy, or being started anew. Try again in a moment.",
  source_failed: "Check that the server runs and that this machine is connected, then try again.",
  engine_failed: "Try again. If it happens again, the server’s log says more.",
  out_of_memory: "Choose a smaller model, or a shorter context.",
  not_found: "Choose a model under Settings.",
  bad_request: "Change what the message names under Settings, then try again.",
  unsupported: "Change what the message names under Settings, then try again.",
};

function Failure({ chat, message }: NoticeProps): VNode {
  const { code, message: text } = message.error ?? { code: "", message: "" };
  const isFull = code === "context_overflow";
  return (
    <div class="notice failed" role="alert">
      <p>
        <strong>{isFull ? "The conversation is longer than the context." : "No answer."}</strong>{" "}
        {/[.!?]$/.test(text) ? text : `${text}.`}
      </p>
      {isFull ? (
        <Room chat={chat} message={message} />
      ) : (
        <>
          <p>{NEXT[code] ?? "Try again; if it happens again, it is a bug of this page."}</p>
          <p class="actions">
            <button type="button" onClick={() => chat.retry(message)}>
              Try again
            </button>
          </p>
        </>
      )}
    </div>
  );
}

/** What makes room: older turns left out, or all of them. */
function Room({ chat, message }: NoticeProps): VNode {
  const users = promptOf(chat.conversation.value, message.id).filter(({ role }) => role === "user");
  const isBusy = chat.running.value !== undefined;
  return (
    <>
      {users.length < 2 && (
        <p>Say it in fewer words, or shorten the system prompt: one message alone is too long.</p>
      )}
      <p class="actions">
        {users.length > 1 && (
          <button type="button" disabled={isBusy} onClick={() => chat.shorten(message)}>
            Leave out the older half
          </button>
        )}
        <button type="button" disabled={isBusy} onClick={() => chat.clear()}>
          New conversation
        </button>
      </p>
    </>
  );
}

function CutOff({ chat, message }: NoticeProps): VNode {
  const ctx = usePage().facts.value?.ctx;
  const total = message.figures?.usage.total_tokens ?? 0;
  if (ctx === undefined || total < ctx) {
    return (
      <p class="notice">
        Cut off after {count(message.figures?.usage.completion_tokens ?? 0, "token")}: “Most tokens”
        under Settings allows more.
      </p>
    );
  }
  return (
    <div class="notice">
      <p>Cut off: the context of {count(ctx, "token")} is full.</p>
      <Room chat={chat} message={message} />
    </div>
  );
}
