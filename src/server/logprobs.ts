/** Log-probabilities in the two shapes that OpenAI gave them. */
import type { PromptLogprobs } from "../engine/prompt-logprobs.ts";
import { LEAST_LOGPROB } from "../generate/logprobs.ts";
import type { TokenPart } from "../generate/request.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

/** Collects a choice's log-probabilities and hands them out with the text they belong to. */
export interface LogprobsWriter {
  push(part: TokenPart): void;
  /** What belongs to the text since the last call; null when there is nothing. */
  take(): unknown;
  /** The same at the choice's end, with what the route reports of tokens without text. */
  takeRest(): unknown;
}

/** JSON has no infinity, nor has it NaN. */
const finite = (logprob: number): number => (Number.isFinite(logprob) ? logprob : LEAST_LOGPROB);

/** A model's head may have more rows than its tokenizer has tokens: padding, without text. */
function bytesOf(tokenizer: Tokenizer, token: number): Uint8Array {
  return token < tokenizer.vocabSize ? tokenizer.tokenBytes(token) : new Uint8Array(0);
}

interface ChatEntry {
  token: string;
  logprob: number;
  bytes: number[];
}

/**
 * `{content:[{token,logprob,bytes,top_logprobs}],refusal:null}`. What ends an output without being
 * part of it (an end token, a stop text) has no entry, so the entries spell the content.
 *
 * @param alternatives how many top_logprobs an entry has; 0 leaves them empty.
 */
export function chatLogprobs(tokenizer: Tokenizer, alternatives: number): LogprobsWriter {
  const decoder = new TextDecoder();
  const entry = (token: number, logprob: number): ChatEntry => {
    const bytes = bytesOf(tokenizer, token);
    return { token: decoder.decode(bytes), logprob: finite(logprob), bytes: [...bytes] };
  };
  const spell = (content: unknown[]): unknown =>
    content.length === 0 ? null : { content, refusal: null };
  const entries = heldBack<ChatEntry & { top_logprobs: ChatEntry[] }>();
  return {
    push: ({ token, text, logprob = Number.NEGATIVE_INFINITY, top_logprobs = [] }) => {
      // One more than asked for where the chosen token is not among them.
      const listed = alternatives === 0 ? [] : top_logprobs;
      const top = listed.map((t) => entry(t.token, t.logprob));
      entries.push({ ...entry(token, logprob), top_logprobs: top }, text !== "");
    },
    take: () => spell(entries.take()),
    takeRest: () => spell(entries.take()),
  };
}

/** A prompt that an answer repeats. */
export interface EchoedPrompt {
  readonly ids: readonly number[];
  readonly logprobs: PromptLogprobs;
  /** Whether the first token is one that the tokenizer put in front of a text: it has none. */
  readonly hasAddedBos: boolean;
}

/**
 * `{tokens,token_logprobs,top_logprobs,text_offset}`, four lists of one length, one entry for every
 * token of the echoed prompt, whose first has null for both numbers, and every generated token. Offsets
 * count code points from the start of the choice's text.
 *
 * The keys of top_logprobs are texts, which two ids can share: the likelier one keeps the key. So the largest
 * number is that of the likeliest token, and equal to token_logprob only where the chosen one is that.
 */
export function completionLogprobs(tokenizer: Tokenizer, echo?: EchoedPrompt): LogprobsWriter {
  const textDecoder = new TextDecoder();
  const spelled = (token: number): string => textDecoder.decode(bytesOf(tokenizer, token));
  const entries = heldBack<CompletionEntry>();
  let offset = 0;
  const addEntry = (
    token: number,
    known: Pick<TokenPart, "logprob" | "top_logprobs"> | null,
    hasText: boolean,
  ): void => {
    const entry = { token: spelled(token), offset };
    if (known === null) {
      entries.push({ ...entry, logprob: null, top: null }, hasText);
      return;
    }
    const logprob = finite(known.logprob ?? Number.NEGATIVE_INFINITY);
    const top = new Map<string, number>();
    for (const alternative of [...(known.top_logprobs ?? []), { token, logprob }]) {
      const key = spelled(alternative.token);
      const largest = Math.max(finite(alternative.logprob), top.get(key) ?? LEAST_LOGPROB);
      top.set(key, largest);
    }
    entries.push({ ...entry, logprob, top: Object.fromEntries(top) }, hasText);
  };
  const spell = (taken: readonly CompletionEntry[]): unknown =>
    taken.length === 0
      ? null
      : {
          tokens: taken.map(({ token }) => token),
          token_logprobs: taken.map(({ logprob }) => logprob),
          top_logprobs: taken.map(({ top }) => top),
          text_offset: taken.map((entry) => entry.offset),
        };

  if (echo !== undefined) {
    const decoder = tokenizer.createDecoder();
    for (const [i, token] of echo.ids.entries()) {
      addEntry(token, echo.logprobs[i] ?? null, true);
      const isText = token < tokenizer.vocabSize && !(i === 0 && echo.hasAddedBos);
      if (isText) offset += [...decoder.push(token)].length;
    }
    offset += [...decoder.flush()].length;
  }
  // It goes on behind a prompt: the first space of a SentencePiece token is text.
  const decoder = tokenizer.createDecoder({ skipSpecialTokens: true, continuation: true });
  return {
    push: (part) => {
      const { token, text } = part;
      addEntry(token, part, text !== "");
      if (token < tokenizer.vocabSize) offset += [...decoder.push(token)].length;
    },
    take: () => spell(entries.take()),
    takeRest: () => spell(entries.takeAll()),
  };
}

interface CompletionEntry {
  readonly token: string;
  readonly logprob: number | null;
  readonly top: Readonly<Record<string, number>> | null;
  readonly offset: number;
}

/** Entries wait until a token brings text: theirs, when a code point or a stop text was open. */
function heldBack<T>(): { push(entry: T, hasText: boolean): void; take(): T[]; takeAll(): T[] } {
  let ready: T[] = [];
  let waiting: T[] = [];
  const take = (): T[] => {
    const taken = ready;
    ready = [];
    return taken;
  };
  return {
    push: (entry, hasText) => {
      waiting.push(entry);
      if (!hasText) return;
      ready.push(...waiting);
      waiting = [];
    },
    take,
    takeAll: () => {
      const taken = [...take(), ...waiting];
      waiting = [];
      return taken;
    },
  };
}
