/** The conversation that a request is about: what it goes on from, and what it brings. */
import { PronkError } from "../../errors.ts";
import type { InputItem, PromptFields } from "../schemas/responses.ts";
import { type Item, type NewItem, toItem } from "./items.ts";
import type { SavedResponses } from "./saved-responses.ts";

export interface Conversation {
  /** Those of earlier responses have their ids. */
  readonly items: readonly (Item | NewItem)[];
  /** Where the request has each; undefined for those of `previous_response_id`. */
  readonly places: readonly (string | undefined)[];
}

/**
 * @param saved undefined where nothing is kept.
 * @throws PronkError "bad_request", RequestError.
 */
export async function conversationOf(
  { input, previous_response_id: previous }: PromptFields,
  saved: SavedResponses | undefined,
): Promise<Conversation> {
  const items: (Item | NewItem)[] = [];
  const places: (string | undefined)[] = [];
  if (previous != null) {
    for (const item of await kept(saved, "previous_response_id").conversation(previous)) {
      items.push(item);
      places.push(undefined);
    }
  }
  const elements: readonly InputItem[] =
    typeof input === "string" ? [{ role: "user", content: input }] : input;
  for (const [i, element] of elements.entries()) {
    const param = typeof input === "string" ? "input" : `input[${i}]`;
    const item =
      element.type === "item_reference"
        ? withoutId(await kept(saved, param).item(element.id, param))
        : toItem(element, param);
    if (item === undefined) continue;
    items.push(item);
    places.push(param);
  }
  return { items, places };
}

function kept(saved: SavedResponses | undefined, param: string): SavedResponses {
  if (saved !== undefined) return saved;
  throw new PronkError(
    "bad_request",
    `${param}: this server keeps no responses; send the conversation itself (store: false)`,
    { param },
  );
}

/** It gets another: a list has no id twice. */
function withoutId({ id, ...item }: Item): NewItem {
  return item as NewItem;
}
