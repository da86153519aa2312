/** A conversation as a chat, cut at its beginning where the request allows it. */
import type { Engine } from "../../engine/engine.ts";
import { PronkError } from "../../errors.ts";
import { type RunningChat, runChat } from "../chat-run.ts";
import type { ServerContext } from "../context.ts";
import type { PromptFields } from "../schemas/responses.ts";
import { inOurNames } from "./chat-body.ts";
import type { NewItem } from "./items.ts";
import { type Turn, toTurns } from "./messages.ts";

export interface PromptOptions {
  readonly engine: Engine;
  readonly server: Pick<ServerContext, "limits" | "clock" | "randomId">;
  readonly abort: AbortController;
  /** The whole conversation. */
  readonly items: readonly NewItem[];
  /** Where the request has each item; undefined for those of earlier responses. */
  readonly places: readonly (string | undefined)[];
  readonly bodyOf: (turns: readonly Turn[]) => Record<string, unknown>;
  /** Tokens that the answer wants room for. */
  readonly wanted: number | undefined;
}

export interface PreparedPrompt {
  /** It runs when it is asked for its answer. */
  readonly chat: RunningChat;
  /** Indices of the items that the prompt is made of. */
  readonly used: readonly number[];
}

/** Of the context: what a cut conversation leaves to the answer, unless that wants less. */
const ROOM = 1 / 4;

/**
 * With `truncation: "auto"` the turns from the first one on are left out, up to a user's, until a quarter of
 * the context is free. What the conversation opens with of system messages stays.
 *
 * @throws what runChat does, by the names of this route.
 */
export async function preparePrompt(
  fields: Pick<PromptFields, "truncation" | "instructions">,
  options: PromptOptions,
): Promise<PreparedPrompt> {
  const { engine, items } = options;
  const turns = toTurns(items);
  const all = items.map((_, index) => index);
  const whole = (): Promise<RunningChat> => chatOf(turns, fields, options);
  if (fields.truncation !== "auto") return { chat: await whole(), used: all };

  const { ctx } = engine.info;
  const quarter = Math.floor(ctx * ROOM);
  const room = Math.min(options.wanted ?? quarter, quarter);
  const first = turns.findIndex(({ message }) => !isSystem(message.role));
  const head = first < 0 ? turns.length : first;
  // Where a conversation may begin: a template that wants users first finds one.
  const starts = turns.flatMap(({ message }, i) =>
    i > head && message.role === "user" ? [i] : [],
  );
  const from = async (start: number, free: number): Promise<RunningChat | undefined> => {
    // A turn takes a token at least: spares rendering what cannot fit.
    if (turns.length - start > ctx) return undefined;
    try {
      const chat = await chatOf([...turns.slice(0, head), ...turns.slice(start)], fields, options);
      return (chat.job.prompts[0]?.length ?? 0) + free <= ctx ? chat : undefined;
    } catch (error) {
      if (error instanceof PronkError && error.code === "context_overflow") return undefined;
      throw error;
    }
  };
  const untouched = await from(head, room);
  if (untouched !== undefined) return { chat: untouched, used: all };
  let found: { chat: RunningChat; start: number } | undefined;
  // The earliest start that fits; later ones are shorter.
  for (let low = 0, high = starts.length; low < high; ) {
    const middle = (low + high) >> 1;
    const start = starts[middle]!;
    const chat = await from(start, room);
    if (chat !== undefined) found = { chat, start };
    if (chat === undefined) low = middle + 1;
    else high = middle;
  }
  if (found === undefined) {
    // The last turn alone leaves no such room, but perhaps some.
    const start = starts.at(-1);
    const chat = start === undefined ? undefined : await from(start, 1);
    if (chat === undefined) return { chat: await whole(), used: all };
    found = { chat, start: start! };
  }
  const cut = turns[found.start]!.from;
  const kept = turns[head]!.from;
  return { chat: found.chat, used: all.filter((index) => index < kept || index >= cut) };
}

async function chatOf(
  turns: readonly Turn[],
  { instructions }: Pick<PromptFields, "instructions">,
  { engine, server, abort, places, bodyOf }: PromptOptions,
): Promise<RunningChat> {
  try {
    const { limits, clock, randomId } = server;
    return await runChat(bodyOf(turns), { limits, clock, randomId, engine: () => engine }, abort);
  } catch (error) {
    throw inOurNames(error, instructions != null, turns, places);
  }
}

function isSystem(role: string): boolean {
  return role === "system" || role === "developer";
}
