/**
 * Quotas that all isolates share: one Durable Object for each key's name, so that keys wait for nobody.
 *
 * The Worker exports the class and binds it:
 *
 *     [[durable_objects.bindings]]
 *     name = "PRONK_QUOTA"
 *     class_name = "QuotaObject"
 *     [[migrations]]
 *     tag = "quota"
 *     new_sqlite_classes = ["QuotaObject"]
 */
import { PronkError } from "../../errors.ts";
import type { Admission, Quota, QuotaStore } from "../../server/app.ts";
import { admitRequest, type QuotaState, spendTokens, UNUSED } from "../../server/quota.ts";

/** What is used of DurableObjectState. */
export interface DurableObjectStateLike {
  readonly storage: {
    get(key: string): Promise<unknown>;
    put(key: string, value: unknown): Promise<void>;
  };
}

/** What is used of DurableObjectNamespace. */
export interface DurableObjectNamespaceLike {
  idFromName(name: string): object;
  // biome-ignore lint/suspicious/noExplicitAny: Cloudflare's type of an id is not ours
  get(id: any): { fetch(url: string, init: { method: string; body: string }): Promise<Response> };
}

type Asked =
  | { readonly do: "admit"; readonly quota: Quota }
  | { readonly do: "spend"; readonly tokens: number; readonly quota: Quota };

const STATE = "buckets";

/** The object itself: it answers only to the Workers that it is bound to. */
export class QuotaObject {
  readonly #storage: DurableObjectStateLike["storage"];

  constructor(state: DurableObjectStateLike) {
    this.#storage = state.storage;
  }

  /** No other request is let in between the read and the write: Durable Objects hold them back then. */
  async fetch(request: Request): Promise<Response> {
    const asked = (await request.json()) as Asked;
    const state = ((await this.#storage.get(STATE)) as QuotaState | undefined) ?? UNUSED;
    if (asked.do === "spend") {
      await this.#storage.put(STATE, spendTokens(state, asked.quota, asked.tokens, Date.now()));
      return new Response(null, { status: 204 });
    }
    const { state: next, admission } = admitRequest(state, asked.quota, Date.now());
    await this.#storage.put(STATE, next);
    return Response.json(admission);
  }
}

/** @throws PronkError "source_failed" from both methods, when the object does not answer. */
export function durableQuotaStore(namespace: DurableObjectNamespaceLike): QuotaStore {
  const ask = async (caller: string, body: Asked): Promise<Response> => {
    const object = namespace.get(namespace.idFromName(caller));
    // Only the path is seen there; the host is none.
    const response = await object.fetch("https://quota/", {
      method: "POST",
      body: JSON.stringify(body),
    });
    if (response.ok) return response;
    throw new PronkError("source_failed", `quotas: the Durable Object answered ${response.status}`);
  };
  return {
    admit: async (caller, quota) =>
      (await (await ask(caller, { do: "admit", quota })).json()) as Admission,
    spend: async (caller, tokens, quota) => {
      await ask(caller, { do: "spend", tokens, quota });
    },
  };
}
