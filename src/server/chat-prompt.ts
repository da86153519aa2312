/**
 * Messages to prompt ids, such that no message can write a control token: `<|im_start|>` typed by
 * a user stays the text `<|im_start|>`.
 *
 * A message without such text is rendered and encoded in one go, so its ids are exactly those of
 * the template's own text. Otherwise the special texts inside messages are rendered as private-use
 * placeholders, which templates neither trim nor look for; the result is cut at the special tokens
 * that the template itself wrote, and the pieces between, with the placeholders undone, are encoded
 * as plain text.
 */
import { PronkError } from "../errors.ts";
import type { ChatMessage, ChatTemplate, RenderOptions } from "../templates/chat-template.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

/** The texts of a tokenizer's special tokens, and a pattern that finds them, longest first. */
interface SpecialTexts {
  readonly ids: ReadonlyMap<string, number>;
  readonly pattern: RegExp | undefined;
}

/** Finding them walks the vocabulary once, so they are kept as long as the tokenizer lives. */
const specialTexts = new WeakMap<Tokenizer, SpecialTexts>();

/** Private use, so in no alphabet; the first of them that neither side uses becomes the mark. */
const FIRST_MARK = 0xe000;
const LAST_MARK = 0xf8ff;

/**
 * The prompt's ids, ending with the opening of the assistant's turn.
 *
 * @param tools definitions for the template
 * @throws PronkError "bad_request" when the template refuses the messages.
 */
export function encodeChat(
  template: ChatTemplate,
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  tools?: readonly unknown[],
  { add_generation_prompt }: Pick<RenderOptions, "add_generation_prompt"> = {},
): number[] {
  const { ids, pattern } = specialTextsOf(tokenizer);
  const texts = textsIn([messages.map(({ role: _, ...rest }) => rest), tools]);
  const options: RenderOptions = {
    ...(tools !== undefined && { tools }),
    ...(add_generation_prompt !== undefined && { add_generation_prompt }),
  };
  if (pattern === undefined || !texts.some((text) => text.search(pattern) !== -1)) {
    return tokenizer.encode(template.render(messages, options), {
      addSpecialTokens: false,
      parseSpecial: true,
    });
  }

  const mark = unusedMark([template.source, ...texts]);
  const hidden: string[] = [];
  const hide = (text: string): string =>
    text.replace(pattern, (special) => `${mark}${hidden.push(special) - 1}${mark}`);
  const rendered = template.render(
    messages.map(({ role, ...rest }) => ({ role, ...mapTexts(rest, hide) })),
    mapTexts(options, hide),
  );
  const placeholder = new RegExp(`${mark}(\\d+)${mark}`, "g");
  const encodePlain = (text: string, continuation: boolean): number[] =>
    tokenizer.encode(
      text.replace(placeholder, (_, index) => hidden[Number(index)] ?? ""),
      { addSpecialTokens: false, parseSpecial: false, continuation },
    );

  const prompt: number[] = [];
  let start = 0;
  for (const match of rendered.matchAll(pattern)) {
    const [special] = match;
    if (match.index > start)
      append(prompt, encodePlain(rendered.slice(start, match.index), start > 0));
    prompt.push(ids.get(special) as number); // the pattern was made of the map's keys
    start = match.index + special.length;
  }
  if (start < rendered.length) append(prompt, encodePlain(rendered.slice(start), start > 0));
  return prompt;
}

/**
 * How many tokens at the start of a prompt are the system messages that it begins with: what a shift
 * of the context keeps. Where the template writes something by itself in front of a conversation
 * without one, that; at least BOS.
 */
export function systemLength(
  template: ChatTemplate,
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  prompt: readonly number[],
  tools?: readonly unknown[],
): number {
  const first = messages.findIndex(({ role }) => role !== "system");
  const head = messages.slice(0, first < 0 ? messages.length : first);
  // With a turn of the same role but another text, what both have in common is in front of the turn.
  const turn = messages[head.length] ?? { role: "user", content: "" };
  const others = OTHER_TURNS.flatMap((content) => {
    try {
      return [encodeChat(template, tokenizer, [...head, { ...turn, content }], tools)];
    } catch {
      return []; // a template that wants more than one turn
    }
  });
  const [one, other] = others;
  const hasBos = prompt[0] === tokenizer.bosId ? 1 : 0;
  if (one === undefined || other === undefined) return hasBos;
  const common = Math.min(commonLength(prompt, one), commonLength(prompt, other));
  return Math.max(hasBos, common);
}

/** Contents that have no beginning in common with each other. */
const OTHER_TURNS = ["a", "1"];

function commonLength(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}

function specialTextsOf(tokenizer: Tokenizer): SpecialTexts {
  const known = specialTexts.get(tokenizer);
  if (known !== undefined) return known;
  const ids = new Map<string, number>();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (const id of tokenizer.specialIds()) {
    const text = decoder.decode(tokenizer.tokenBytes(id));
    if (text !== "" && !ids.has(text)) ids.set(text, id);
  }
  const longestFirst = [...ids.keys()].sort((a, b) => b.length - a.length);
  const alternatives = longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
  const pattern = ids.size === 0 ? undefined : new RegExp(alternatives.join("|"), "g");
  const found = { ids, pattern };
  specialTexts.set(tokenizer, found);
  return found;
}

function unusedMark(texts: readonly string[]): string {
  for (let code = FIRST_MARK; code <= LAST_MARK; code++) {
    const mark = String.fromCharCode(code);
    if (!texts.some((text) => text.includes(mark))) return mark;
  }
  throw new PronkError("bad_request", "messages: every private-use character is taken", {
    param: "messages",
  });
}

/** Every text in a JSON value, names of members too. */
function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  return Object.entries(value).flatMap(([name, inner]) => [name, ...textsIn(inner)]);
}

/** The same value with other texts, and other names of members. */
function mapTexts<T>(value: T, map: (text: string) => string): T {
  const mapped = (inner: unknown): unknown => {
    if (typeof inner === "string") return map(inner);
    if (typeof inner !== "object" || inner === null) return inner;
    if (Array.isArray(inner)) return inner.map(mapped);
    return Object.fromEntries(Object.entries(inner).map(([k, v]) => [map(k), mapped(v)]));
  };
  return mapped(value) as T;
}

/** Without spreading: a long prompt has more ids than a call may have arguments. */
function append(ids: number[], more: readonly number[]): void {
  for (const id of more) ids.push(id);
}
