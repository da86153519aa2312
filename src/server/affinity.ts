/**
 * Which engine a request should go to, where there are several: one key for all turns of a conversation,
 * so that each finds the prefix cache of the last. It is made of the model and of how the conversation
 * begins, up to the first message of the user: later turns repeat that, and a system prompt that
 * everybody shares does not put everybody in one place.
 *
 * The key is no secret and says nothing of the text. Any consistent hash may map it to engines.
 */
import { sha256 } from "../pack/digest.ts";

/** The header by which the front tells load balancers and engines: 16 lower-case hex digits. */
export const AFFINITY_HEADER = "x-pronk-affinity";

/** 64 bits: a million conversations collide in none of them. */
const KEY_DIGITS = 16;

/** Of each text: documents that begin alike share a cache, and hashing costs less than a millisecond. */
const TEXT_CHARS = 8192;

/** Of a raw prompt, which grows with each turn and does not say where it began: a short system prompt and question. */
const PROMPT_CHARS = 512;
const PROMPT_IDS = 128;

/** In front of the first message of the user; more are examples. */
const MAX_MESSAGES = 16;

const KEY = /^[0-9a-f]{16}$/;

/** Of what a response's id may hold. */
const MAX_ID = 64;

/** An id that keyedId() made. */
const RESPONSE_ID = /^resp_([0-9a-f]{16})[0-9A-Za-z]{32,48}$/;

type Fields = Readonly<Record<string, unknown>>;

/**
 * The key of a request's JSON body, on any of the routes; undefined where nothing in it begins a conversation
 * (embeddings, scores, what is malformed): such requests are as well off anywhere.
 */
export async function affinityKey(body: unknown): Promise<string | undefined> {
  if (!isFields(body)) return undefined;
  const previous = affinityOfId(body.previous_response_id);
  if (previous !== undefined) return previous;
  const opening = openingOf(body);
  if (opening === undefined) return undefined;
  // Clients name what belongs together by the second, as by a salt; it parts requests that begin alike.
  const facts = [textOf(body.model), textOf(body.prompt_cache_key), opening];
  if (body.cache_salt != null) facts.push(textOf(body.cache_salt));
  const hash = await sha256(new TextEncoder().encode(JSON.stringify(facts)));
  return hash.slice(0, KEY_DIGITS);
}

/** An id that begins with the key of its request, so that what refers to it finds its way. */
export function keyedId(headers: Headers, id: string): string {
  const key = headers.get(AFFINITY_HEADER);
  const isKeyed = key !== null && KEY.test(key) && KEY_DIGITS + id.length <= MAX_ID;
  return isKeyed ? key + id : id;
}

/** The key in the id of a response; undefined where it has none. */
export function affinityOfId(id: unknown): string | undefined {
  return typeof id === "string" ? RESPONSE_ID.exec(id)?.[1] : undefined;
}

/** The beginning as plain texts, however the API spells it; undefined where there is no conversation. */
function openingOf(body: Fields): unknown {
  const { messages, input, prompt, instructions, system } = body;
  const first = [textOf(instructions), textOf(system)];
  if (Array.isArray(messages)) return [...first, ...openingMessages(messages)];
  if (prompt !== undefined) return [...first, promptOpening(prompt)];
  // Embeddings have an input, too, and no conversation; only a text of theirs cannot be told from a response's.
  if (typeof input === "string") return [...first, ["user", textOf(input)]];
  if (Array.isArray(input) && input.some(isFields)) return [...first, ...openingMessages(input)];
  return undefined;
}

/** Roles and texts up to the first message of the user. */
function openingMessages(messages: readonly unknown[]): [string, string][] {
  const opening: [string, string][] = [];
  for (const message of messages.slice(0, MAX_MESSAGES)) {
    const { role, content } = isFields(message) ? message : {};
    opening.push([textOf(role), textOf(content)]);
    if (role === "user") break;
  }
  return opening;
}

/** Of several prompts the first decides: they run where one of them does. */
function promptOpening(prompt: unknown): unknown {
  const isList = Array.isArray(prompt) && typeof prompt[0] !== "number";
  const first = isList ? prompt[0] : prompt;
  if (!Array.isArray(first)) return textOf(first).slice(0, PROMPT_CHARS);
  return first.slice(0, PROMPT_IDS).filter((id) => typeof id === "number");
}

/** The text alone: marks for caches move from turn to turn, and images are refused later. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content.slice(0, TEXT_CHARS);
  if (!Array.isArray(content)) return "";
  let text = "";
  for (const part of content) {
    if (text.length >= TEXT_CHARS) break;
    const piece = isFields(part) ? part.text : part;
    if (typeof piece === "string") text += piece;
  }
  return text.slice(0, TEXT_CHARS);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
