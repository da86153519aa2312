/** A page of a response's input items, as OpenAI's cursors have it. */
import { PronkError } from "../../errors.ts";
import type { Item } from "./items.ts";

/** Query parameters as they stand. */
export interface PageQuery {
  /** 1 to 100, default 20. */
  readonly limit?: string | undefined;
  /** Default "desc": the newest first. */
  readonly order?: string | undefined;
  /** The id of the last item of the page before. */
  readonly after?: string | undefined;
}

export interface ItemsPage {
  readonly object: "list";
  readonly data: readonly Item[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
}

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 100;

/** @throws PronkError "bad_request". */
export function inputItemsPage(items: readonly Item[], query: PageQuery): ItemsPage {
  const { limit = String(DEFAULT_LIMIT), order = "desc", after } = query;
  const count = /^\d{1,3}$/.test(limit) ? Number(limit) : 0;
  if (count < 1 || count > MAX_LIMIT) throw bad("limit", `expected 1 to ${MAX_LIMIT}`);
  if (order !== "asc" && order !== "desc") throw bad("order", `expected "asc" or "desc"`);
  const sorted = order === "asc" ? items : items.toReversed();
  const before = after === undefined ? -1 : sorted.findIndex(({ id }) => id === after);
  if (after !== undefined && before === -1) throw bad("after", "no such item");
  const data = sorted.slice(before + 1, before + 1 + count);
  return {
    object: "list",
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: before + 1 + count < sorted.length,
  };
}

function bad(param: string, problem: string): PronkError {
  return new PronkError("bad_request", `${param}: ${problem}`, { param });
}
