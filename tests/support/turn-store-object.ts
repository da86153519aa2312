/** A store of turns in a Durable Object's storage, driven by lists of steps. */
import { type SqlLike, TurnStore } from "../../src/platform/cloudflare/turn-store.ts";

export type TurnStep =
  /** Pieces of so many bytes, all the last id; `tokens` absent: the object ends before the turn is whole. */
  | { save: number[]; pieces: number[]; tokens?: number; key?: string }
  | { find: number[]; key?: string }
  /** What the turn with most of these has: bytes, rows, and whether they are those that were written. */
  | { read: number[] }
  | { drop: number[] }
  | { count: true };

export class TurnStoreObject {
  readonly #sql: SqlLike;
  constructor(state: { readonly storage: { readonly sql: SqlLike } }) {
    this.#sql = state.storage.sql;
  }

  async fetch(request: Request): Promise<Response> {
    const { most, steps } = (await request.json()) as { most: number; steps: TurnStep[] };
    // As an object that has just been made.
    const store = new TurnStore(this.#sql, most);
    const told: unknown[] = [];
    for (const step of steps) {
      if ("save" in step) {
        const writer = store.begin(step.key ?? "k", step.save);
        for (const bytes of step.pieces) {
          writer.write(new Uint8Array(bytes).fill(step.save.at(-1)!));
        }
        if (step.tokens !== undefined) writer.end(step.tokens);
      } else if ("find" in step) told.push(store.find(step.key ?? "k", step.find)?.tokens ?? 0);
      else if ("count" in step) told.push([store.count, store.bytes]);
      else if ("drop" in step) store.delete(store.find("k", step.drop)!.id);
      else {
        const rows = [...store.read(store.find("k", step.read)?.id ?? 0)];
        const bytes = rows.reduce((sum, { length }) => sum + length, 0);
        const isWhole = rows.every((row) => row.every((byte) => byte === step.read.at(-1)));
        told.push([bytes, rows.length, isWhole]);
      }
    }
    const [{ rows }] = this.#sql.exec("SELECT count(*) AS rows FROM pieces") as { rows: number }[];
    return Response.json({ told, rows });
  }
}

export default { fetch: (): Response => new Response(null, { status: 404 }) };
