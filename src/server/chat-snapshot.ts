/** Snapshots of chats: a system prompt at deploy time, a conversation that goes on elsewhere. */
import type { Engine } from "../engine/engine.ts";
import { commonLength } from "../engine/slots.ts";
import { PronkError } from "../errors.ts";
import type { AdapterChoice } from "../generate/request.ts";
import type { ChatMessage } from "../templates/chat-template.ts";
import { encodeChat } from "./chat-prompt.ts";

/** Users' turns that have no beginning in common. */
const TURNS = ["a", "1"];

/**
 * `engine.saveSnapshot` of what every prompt begins with in which these messages come first and a user's follows.
 *
 * @throws PronkError "unsupported" for a model without a chat template; "bad_request" where template or messages have
 *   no such beginning; as saveSnapshot.
 */
export async function saveChatSnapshot(
  engine: Engine,
  messages: readonly ChatMessage[],
  options: { readonly signal?: AbortSignal; readonly adapters?: readonly AdapterChoice[] } = {},
): Promise<Uint8Array> {
  const { template, tokenizer, info } = engine;
  if (template === undefined) {
    throw new PronkError("unsupported", `messages: ${info.id} has no chat template`);
  }
  const [one = [], other = []] = TURNS.map((content) =>
    encodeChat(template, tokenizer, [...messages, { role: "user", content }]),
  );
  const prompt_ids = one.slice(0, commonLength(one, other));
  if (prompt_ids.length === 0) throw new PronkError("bad_request", "messages: no common beginning");
  const { signal, adapters } = options;
  return engine.saveSnapshot(
    { prompt_ids, ...(adapters && { adapters }) },
    { ...(signal && { signal }) },
  );
}
