/**
 * Responses in a store, each for the key that made it: under another one it is not there. What is kept of
 * a response is the object that was answered and the items of its prompt, so that a conversation goes on
 * where those before it are deleted or gone.
 */
import { PronkError } from "../../errors.ts";
import { RequestError } from "../errors.ts";
import { type Item, type OutputItem, responseOfItem } from "./items.ts";
import type { ResponseObject } from "./response-object.ts";
import type { ResponseStore } from "./response-store.ts";

export interface SavedResponse {
  readonly response: ResponseObject;
  /** What it answers, from the conversation's beginning on. */
  readonly items: readonly Item[];
}

interface Kept extends SavedResponse {
  readonly owner: string | null;
  /** Milliseconds since 1970. */
  readonly expires_at: number;
}

/** Of a request's references: more are no conversation, and each costs a read of the store. */
const MAX_REFERENCED_RESPONSES = 256;

const RESPONSE_ID = /^resp_[0-9A-Za-z]{1,64}$/;

export class SavedResponses {
  readonly #store: ResponseStore;
  readonly #owner: string | null;
  readonly #now: () => number;
  /** Read once for all references of a request. */
  readonly #read = new Map<string, Promise<SavedResponse | undefined>>();

  /** @param owner who asks; undefined on a server without keys. @param now milliseconds since 1970. */
  constructor(store: ResponseStore, owner: string | undefined, now: () => number) {
    this.#store = store;
    this.#owner = owner ?? null;
    this.#now = now;
  }

  /** undefined when there is none for this owner. @throws PronkError "source_failed". */
  get(id: string): Promise<SavedResponse | undefined> {
    let found = this.#read.get(id);
    if (found === undefined) {
      found = this.#load(id);
      this.#read.set(id, found);
    }
    return found;
  }

  /** The conversation up to a response, with what it put out. @throws RequestError. */
  async conversation(id: string): Promise<Item[]> {
    const found = await this.get(id);
    if (found !== undefined) return [...found.items, ...found.response.output.filter(isUsable)];
    const param = "previous_response_id";
    throw new RequestError(
      "previous_response_not_found",
      `${param}: Previous response with id '${shown(id)}' not found.`,
      { param },
    );
  }

  /** @throws PronkError "bad_request" where no response has such an item. */
  async item(id: string, param: string): Promise<Item> {
    const response = responseOfItem(id);
    if (response !== undefined && !this.#read.has(response)) {
      if (this.#read.size >= MAX_REFERENCED_RESPONSES) {
        throw new PronkError(
          "bad_request",
          `${param}: references to more than ${MAX_REFERENCED_RESPONSES} responses`,
          { param },
        );
      }
    }
    const found = response === undefined ? undefined : await this.get(response);
    const item = [...(found?.response.output ?? []), ...(found?.items ?? [])].find(
      (one) => one.id === id,
    );
    if (item !== undefined) return item;
    throw new PronkError("bad_request", `${param}: Item with id '${shown(id)}' not found.`, {
      param,
    });
  }

  /** @param ttlMs for how long. @throws what the store does. */
  async put({ response, items }: SavedResponse, ttlMs: number): Promise<void> {
    const expires_at = this.#now() + ttlMs;
    const kept: Kept = { owner: this.#owner, expires_at, response, items };
    await this.#store.put(response.id, JSON.stringify(kept), expires_at);
  }

  /** Whether there was one. @throws PronkError "source_failed". */
  async delete(id: string): Promise<boolean> {
    if ((await this.get(id)) === undefined) return false;
    await asked(this.#store.delete(id));
    this.#read.delete(id);
    return true;
  }

  async #load(id: string): Promise<SavedResponse | undefined> {
    if (!RESPONSE_ID.test(id)) return undefined;
    const text = await asked(this.#store.get(id));
    if (text === undefined) return undefined;
    const kept = parseKept(text);
    const isOurs = kept.owner === this.#owner && kept.response.id === id;
    return isOurs && kept.expires_at > this.#now() ? kept : undefined;
  }
}

/** A call that was cut off is no JSON: nothing can answer it. */
function isUsable(item: OutputItem): boolean {
  return item.type === "message" || item.status === "completed";
}

/** The store's failures may pass. */
async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw new PronkError("source_failed", "the store of responses does not answer", { cause });
  }
}

function parseKept(text: string): Kept {
  try {
    return JSON.parse(text) as Kept;
  } catch (cause) {
    throw new PronkError("corrupt", "the store of responses has one that is no JSON", { cause });
  }
}

/** Characters of a client's own words that an error repeats. */
const MAX_SHOWN = 80;

function shown(id: string): string {
  return id.length > MAX_SHOWN ? `${id.slice(0, MAX_SHOWN)}…` : id;
}
