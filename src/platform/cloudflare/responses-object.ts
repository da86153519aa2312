/**
 * Responses in Durable Objects, one for each: found everywhere at once, and gone by themselves when their time is over.
 *
 * The Worker exports the class and binds it:
 *
 *     [[durable_objects.bindings]]
 *     name = "PRONK_RESPONSES"
 *     class_name = "ResponsesObject"
 *     [[migrations]]
 *     tag = "responses"
 *     new_sqlite_classes = ["ResponsesObject"]
 */
import { PronkError } from "../../errors.ts";
import type { ResponseStore } from "../../server/app.ts";
import type { DurableObjectNamespaceLike } from "./quota-object.ts";

/** What is used of DurableObjectState. */
export interface ResponsesState {
  readonly storage: {
    get(key: string): Promise<unknown>;
    get(keys: string[]): Promise<Map<string, unknown>>;
    put(entries: Record<string, unknown>): Promise<void>;
    setAlarm(time: number): Promise<void>;
    deleteAll(): Promise<void>;
  };
}

type Asked =
  | { readonly do: "get" | "delete" }
  | { readonly do: "put"; readonly text: string; readonly expiresAt: number };

interface Kept {
  readonly parts: number;
  readonly expiresAt: number;
}

/** A value may have 2 MB. */
const PART_BYTES = 1_800_000;

/** That are read and written at a time. */
const MAX_PARTS = 100;

const nameOf = (part: number): string => `part-${part}`;

/** The object itself: it answers only to the Workers that it is bound to. */
export class ResponsesObject {
  readonly #storage: ResponsesState["storage"];

  constructor(state: ResponsesState) {
    this.#storage = state.storage;
  }

  async fetch(request: Request): Promise<Response> {
    const asked = (await request.json()) as Asked;
    if (asked.do === "get") return this.#get();
    // Of an earlier text, too.
    await this.#storage.deleteAll();
    if (asked.do === "put") await this.#put(asked.text, asked.expiresAt);
    return new Response(null, { status: 204 });
  }

  async alarm(): Promise<void> {
    await this.#storage.deleteAll();
  }

  async #get(): Promise<Response> {
    const kept = (await this.#storage.get("kept")) as Kept | undefined;
    if (kept === undefined || kept.expiresAt <= Date.now())
      return new Response(null, { status: 404 });
    const names = Array.from({ length: kept.parts }, (_, part) => nameOf(part));
    const parts = await this.#storage.get(names);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const write = async (): Promise<void> => {
      const writer = writable.getWriter();
      for (const name of names) await writer.write(parts.get(name) as Uint8Array);
      await writer.close();
    };
    write().catch(() => undefined); // nobody reads it any more
    return new Response(readable);
  }

  async #put(text: string, expiresAt: number): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    const parts = Math.ceil(bytes.length / PART_BYTES);
    if (parts > MAX_PARTS) throw new PronkError("unsupported", `responses: ${bytes.length} bytes`);
    const kept: Kept = { parts, expiresAt };
    const entries: Record<string, unknown> = { kept };
    for (let part = 0; part < parts; part++) {
      entries[nameOf(part)] = bytes.slice(part * PART_BYTES, (part + 1) * PART_BYTES);
    }
    await this.#storage.put(entries);
    await this.#storage.setAlarm(expiresAt);
  }
}

/** @throws PronkError "source_failed" from its methods, when the object does not answer. */
export function durableResponseStore(namespace: DurableObjectNamespaceLike): ResponseStore {
  const ask = async (id: string, body: Asked): Promise<Response> => {
    const object = namespace.get(namespace.idFromName(id));
    // Only the body is seen there; the host is none.
    const response = await object.fetch("https://responses/", {
      method: "POST",
      body: JSON.stringify(body),
    });
    if (response.ok || response.status === 404) return response;
    const answered = `responses: the Durable Object answered ${response.status}`;
    throw new PronkError("source_failed", answered);
  };
  return {
    async get(id) {
      const response = await ask(id, { do: "get" });
      const text = await response.text(); // also of a refusal: a body must not be left open
      return response.ok ? text : undefined;
    },
    async put(id, text, expiresAt) {
      await ask(id, { do: "put", text, expiresAt });
    },
    async delete(id) {
      await ask(id, { do: "delete" });
    },
  };
}
