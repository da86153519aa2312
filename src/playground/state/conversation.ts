/**
 * A conversation as a tree: a message that is edited or asked for again stands beside the one that it replaces,
 * and each message remembers which of its answers is looked at. Values, never changed in place.
 */
import type { TokenEntry, ToolCall } from "../../server/chat-run.ts";
import type { LlmAnswer } from "../engine.ts";

/** What an answer cost, as far as it is known. */
export interface AnswerFigures {
  readonly usage: LlmAnswer["usage"];
  readonly timings: LlmAnswer["timings"];
  /** From the click to the first token, as a person waits. */
  readonly firstTokenMs: number | undefined;
  /** Tokens a second as they came, for engines whose clocks stand still, as on Workers. */
  readonly perSecond: number | undefined;
}

/** Why there is no more of an answer. */
export interface MessageError {
  readonly code: string;
  readonly message: string;
}

export interface Message {
  readonly id: string;
  /** undefined: the first of the conversation. */
  readonly parent: string | undefined;
  readonly role: "user" | "assistant";
  readonly text: string;
  /** Of an answer. `running`: more may come. */
  readonly state?: "running" | "done" | "stopped" | "failed";
  readonly finishReason?: string;
  readonly error?: MessageError;
  readonly figures?: AnswerFigures;
  /** Of each token, where they were asked for; not kept when the page is left. */
  readonly logprobs?: readonly TokenEntry[];
  readonly toolCalls?: readonly ToolCall[];
  /** The model or adapter that answered. */
  readonly model?: string;
}

export interface Conversation {
  readonly messages: Readonly<Record<string, Message>>;
  /** By parent, `""` for the first ones: their messages in the order in which they came. */
  readonly children: Readonly<Record<string, readonly string[]>>;
  /** By parent: which of them is looked at. */
  readonly chosen: Readonly<Record<string, string>>;
  /** The first message that still goes into the prompt, where older ones were left out. */
  readonly from?: string | undefined;
}

export const EMPTY: Conversation = { messages: {}, children: {}, chosen: {} };

const keyOf = (parent: string | undefined): string => parent ?? "";

/** The messages that are looked at, the oldest first. */
export function pathOf({ messages, chosen }: Conversation): readonly Message[] {
  const path: Message[] = [];
  for (let id = chosen[""]; id !== undefined; id = chosen[id]) {
    const message = messages[id];
    if (message === undefined || path.length > Object.keys(messages).length) break;
    path.push(message);
  }
  return path;
}

/** Adds a message and looks at it. */
export function added(conversation: Conversation, message: Message): Conversation {
  const parent = keyOf(message.parent);
  const siblings = conversation.children[parent] ?? [];
  return {
    ...conversation,
    messages: { ...conversation.messages, [message.id]: message },
    children: { ...conversation.children, [parent]: [...siblings, message.id] },
    chosen: { ...conversation.chosen, [parent]: message.id },
  };
}

/** Changes one message; nothing where it is gone. */
export function changed(
  conversation: Conversation,
  id: string,
  change: Partial<Message>,
): Conversation {
  const message = conversation.messages[id];
  if (message === undefined) return conversation;
  return {
    ...conversation,
    messages: { ...conversation.messages, [id]: { ...message, ...change } },
  };
}

/** A message's place among those that were said in its stead, from 0. */
export function placeOf(
  { children }: Conversation,
  { id, parent }: Message,
): { readonly index: number; readonly of: number } {
  const siblings = children[keyOf(parent)] ?? [];
  return { index: siblings.indexOf(id), of: siblings.length };
}

/** Looks at the message beside this one. @param step -1 or 1 */
export function stepped(conversation: Conversation, message: Message, step: number): Conversation {
  const siblings = conversation.children[keyOf(message.parent)] ?? [];
  const next = siblings[siblings.indexOf(message.id) + step];
  if (next === undefined) return conversation;
  return { ...conversation, chosen: { ...conversation.chosen, [keyOf(message.parent)]: next } };
}

/**
 * What goes into the prompt: messages up to this one, from where older ones were left out on, without answers
 * that are empty.
 *
 * @param last undefined: all
 */
export function promptOf(conversation: Conversation, last?: string): readonly Message[] {
  const path = pathOf(conversation);
  const start = Math.max(
    0,
    path.findIndex(({ id }) => id === conversation.from),
  );
  const end = path.findIndex(({ id }) => id === last);
  return path
    .slice(start, end === -1 ? path.length : end + 1)
    .filter(({ role, text }) => role === "user" || text !== "");
}

/**
 * Leaves the older half of the prompt out, up to a message of the user's.
 *
 * @returns undefined where nothing can be left out: the last message has to stay.
 */
export function shortened(conversation: Conversation): Conversation | undefined {
  const prompt = promptOf(conversation);
  const users = prompt.filter(({ role }) => role === "user");
  const from = users[Math.ceil(users.length / 2)];
  return from === undefined ? undefined : { ...conversation, from: from.id };
}

/** As it is kept: what still ran is what it came to, and log-probabilities are left out. */
export function toStored(conversation: Conversation): unknown {
  const messages = Object.values(conversation.messages).map(({ logprobs: _, ...message }) =>
    message.state === "running" ? { ...message, state: "stopped" } : message,
  );
  return { ...conversation, messages: Object.fromEntries(messages.map((m) => [m.id, m])) };
}

/** @returns undefined for what is none of this version's conversations. */
export function fromStored(stored: unknown): Conversation | undefined {
  if (!isRecord(stored)) return undefined;
  const { messages, children, chosen, from } = stored;
  if (!isRecord(messages) || !isRecord(children) || !isRecord(chosen)) return undefined;
  const isWhole =
    Object.entries(messages).every(([id, m]) => isMessage(m) && m.id === id) &&
    Object.values(children).every(
      (ids) => Array.isArray(ids) && ids.every((id) => id in messages),
    ) &&
    Object.values(chosen).every((id) => typeof id === "string" && id in messages);
  if (!isWhole) return undefined;
  return {
    messages: messages as Conversation["messages"],
    children: children as Conversation["children"],
    chosen: chosen as Conversation["chosen"],
    ...(typeof from === "string" && { from }),
  };
}

function isMessage(value: unknown): value is Message {
  if (!isRecord(value)) return false;
  const { id, role, text } = value;
  const isKnown = role === "user" || role === "assistant";
  return typeof id === "string" && typeof text === "string" && isKnown;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
