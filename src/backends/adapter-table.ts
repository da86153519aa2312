/** The adapters that a runner holds, by handle, and what spans may ask of them. */
import { PronkError } from "../errors.ts";
import type { Span } from "./backend.ts";

export interface HeldAdapter {
  readonly name: string;
  /** Tensors of the base that it replaces, by name. */
  readonly replaced: { readonly has: (tensor: string) => boolean; keys(): Iterable<string> };
}

export class AdapterTable<Held extends HeldAdapter> {
  readonly #held = new Map<number, Held>();
  #next = 1;

  /** Handles are never given twice. */
  add(adapter: Held): number {
    const handle = this.#next++;
    this.#held.set(handle, adapter);
    return handle;
  }

  /** @throws PronkError "bad_request" when there is none. */
  remove(handle: number): Held {
    const adapter = this.get(handle);
    this.#held.delete(handle);
    return adapter;
  }

  /** @throws PronkError "bad_request" when there is none. */
  get(handle: number): Held {
    const adapter = this.#held.get(handle);
    if (adapter) return adapter;
    throw new PronkError("bad_request", `adapter ${handle} is not loaded`, { param: "adapters" });
  }

  values(): Iterable<Held> {
    return this.#held.values();
  }

  clear(): void {
    this.#held.clear();
  }

  /**
   * Whether any row is adapted.
   *
   * @throws PronkError "bad_request" when a span asks for what is not loaded, for one twice, for a scale that is no
   *   number, or for two that replace the same tensor.
   */
  check(spans: readonly Span[]): boolean {
    let isAny = false;
    for (const { slot, adapters } of spans) {
      if (!adapters || adapters.length === 0) continue;
      const bad = (why: string): PronkError =>
        new PronkError("bad_request", `batch: slot ${slot}: ${why}`, { param: "adapters" });
      const seen = new Set<number>();
      const replaced = new Map<string, string>();
      for (const { handle, scale } of adapters) {
        isAny = true;
        const { name, replaced: own } = this.get(handle);
        if (seen.has(handle)) throw bad(`adapter ${handle} is given twice`);
        seen.add(handle);
        if (!Number.isFinite(scale)) throw bad(`adapter ${handle}: scale ${scale}`);
        for (const tensor of own.keys()) {
          const other = replaced.get(tensor);
          if (other !== undefined) throw bad(`${other} and ${name} both replace ${tensor}`);
          replaced.set(tensor, name);
        }
      }
    }
    return isAny;
  }
}

/** @throws PronkError "out_of_memory" when an adapter of so many bytes would go over the limit. */
export function checkRoom(name: string, bytes: number, held: number, limit: number): void {
  if (held + bytes <= limit) return;
  throw new PronkError(
    "out_of_memory",
    `${name}: the adapter needs ${bytes} bytes; others hold ${held}, and ${limit} are for adapters`,
  );
}
