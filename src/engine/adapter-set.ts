/**
 * The adapters of an engine: their names, the mix that requests without one of their own get, and
 * who still computes with them. One that is unloaded loses its name at once and its memory when the
 * last request that began with it has ended.
 */
import type { LoraAdapter } from "../adapters/lora-adapter.ts";
import type { Runner } from "../backends/backend.ts";
import { PronkError, throwIfAborted } from "../errors.ts";
import type { AdapterChoice } from "../generate/request.ts";
import { withFingerprint } from "./adapter-fingerprint.ts";
import { type AdapterMix, checkAdapterScale, NO_ADAPTERS, salted } from "./adapter-mix.ts";
import { heldOpen } from "./held-open.ts";

/** A loaded adapter. */
export interface AdapterInfo {
  /** Counts up from 0 with each load and is never given again. */
  readonly id: number;
  readonly name: string;
  /** Where it came from: a path, a URL, a bucket's prefix; never a credential. */
  readonly path: string;
  /** What its name stands for in a request that says no other. */
  readonly scale: number;
  /** What requests that name no adapters get of it; 0: nothing. */
  readonly default_scale: number;
  /** Of its content: same fingerprint, same change of the output. */
  readonly fingerprint: string;
}

/** What a URL, a header or a command line may hold as it stands. */
const NAME = /^\w[\w./:@+-]{0,199}$/;

interface Loaded {
  readonly id: number;
  readonly name: string;
  readonly path: string;
  readonly scale: number;
  readonly handle: number;
  readonly fingerprint: string;
  /** Tensors of the model that it takes the place of. */
  readonly replaced: ReadonlySet<string>;
  defaultScale: number;
  /** Mixes in use that it is part of. */
  users: number;
  /** Called by whoever is the last user, once it has no name any more. */
  drained: (() => void) | undefined;
}

/** A mix, and what it is made of. */
export interface ResolvedMix extends AdapterMix {
  readonly parts: readonly Loaded[];
}

export interface AdapterLoad {
  readonly scale: number;
  /** An adapter of this name, if there is one, is unloaded as the new one takes its place. */
  readonly replace: boolean;
  readonly signal: AbortSignal | undefined;
}

type AdapterRunner = Pick<Runner, "loadAdapter" | "unloadAdapter">;

export class AdapterSet {
  readonly #runner: AdapterRunner;
  readonly #between: <Result>(work: () => Result) => Promise<Awaited<Result>>;
  readonly #byName = new Map<string, Loaded>();
  /** Names of adapters that are being loaded. */
  readonly #coming = new Set<string>();
  #count = 0;

  /** @param between begins its work while no batch is being run; rejects once the runner is useless. */
  constructor(
    runner: AdapterRunner,
    between: <Result>(work: () => Result) => Promise<Awaited<Result>>,
  ) {
    this.#runner = runner;
    this.#between = between;
  }

  get list(): readonly AdapterInfo[] {
    return [...this.#byName.values()].map(describe);
  }

  /**
   * Keeps a name for an adapter that is being opened, then puts it into the runner's memory, at 0 in
   * the default mix; one that it replaces hands on its place there.
   *
   * @throws PronkError "bad_request" on a name that is taken or none; what `open` and the runner throw:
   *   nothing is changed then.
   */
  async load(
    name: string,
    { scale, replace, signal }: AdapterLoad,
    open: () => Promise<LoraAdapter>,
  ): Promise<AdapterInfo> {
    const bad = (why: string): PronkError =>
      new PronkError("bad_request", `adapters: ${shown(name)} ${why}`, { param: "name" });
    if (typeof name !== "string" || !NAME.test(name)) {
      throw bad("is no name: letters, digits and ._/:@+- are");
    }
    checkAdapterScale(scale, `adapters: ${shown(name)}`, "scale");
    if (this.#coming.has(name)) throw bad("is being loaded already");
    if (!replace && this.#byName.has(name)) throw bad("is loaded already");
    this.#coming.add(name);
    try {
      throwIfAborted(signal);
      const { adapter, fingerprint } = withFingerprint(await open());
      const handle = await this.#between(() => this.#runner.loadAdapter(adapter, signal));
      const print = await fingerprint();
      return await this.#between(() => {
        if (signal?.aborted) this.#runner.unloadAdapter(handle);
        throwIfAborted(signal);
        const before = this.#byName.get(name);
        const loaded: Loaded = {
          ...{ id: this.#count++, name, path: adapter.name, scale, handle, fingerprint: print },
          replaced: new Set(adapter.replaced.keys()),
          ...{ defaultScale: before?.defaultScale ?? 0, users: 0, drained: undefined },
        };
        this.#byName.delete(name); // to the end of the list, by its id
        this.#byName.set(name, loaded);
        // Its users may go on for long; an engine that ends meanwhile frees it with all else.
        if (before) void this.#free(before).catch(() => undefined);
        return describe(loaded);
      });
    } finally {
      this.#coming.delete(name);
    }
  }

  /**
   * Settles when its memory is free again, after the last request that computes with it.
   *
   * @throws PronkError "not_found"; "engine_failed" when the engine ends first.
   */
  async unload(name: string): Promise<void> {
    const loaded = this.#find(name, "name");
    this.#byName.delete(name);
    await this.#free(loaded);
  }

  /**
   * What requests get that name no adapters; those that are not named here take no part.
   *
   * @throws PronkError as resolve().
   */
  setDefault(choices: readonly AdapterChoice[]): void {
    this.resolve(choices);
    const scales = new Map(this.#choose(choices).map(({ loaded, scale }) => [loaded, scale]));
    for (const loaded of this.#byName.values()) loaded.defaultScale = scales.get(loaded) ?? 0;
  }

  /**
   * @param choices undefined: the default.
   * @param cacheSalt CallOptions'; undefined: nobody's.
   * @throws PronkError "not_found" naming what there is; "bad_request".
   */
  resolve(choices: readonly AdapterChoice[] | undefined, cacheSalt?: string): ResolvedMix {
    const chosen =
      choices === undefined
        ? [...this.#byName.values()].map((loaded) => ({ loaded, scale: loaded.defaultScale }))
        : this.#choose(choices);
    // In one order: sums of floats depend on it.
    const parts = chosen
      .filter(({ scale }) => scale !== 0)
      .sort((a, b) => a.loaded.id - b.loaded.id);
    if (parts.length === 0) return salted({ ...NO_ADAPTERS, parts: [] }, cacheSalt);
    refuseConflicts(parts.map(({ loaded }) => loaded));
    const key = parts.map(({ loaded, scale }) => `${loaded.id}:${scale}`).join();
    const mix = {
      ...{ key, sharedKey: key, salt: undefined },
      spans: parts.map(({ loaded, scale }) => ({ handle: loaded.handle, scale })),
      parts: parts.map(({ loaded }) => loaded),
    };
    return salted(mix, cacheSalt);
  }

  /** To be called where a mix was resolved, before anything else can happen; gives what ends its use. */
  use({ parts }: ResolvedMix): () => void {
    for (const loaded of parts) loaded.users++;
    return () => {
      for (const loaded of parts) if (--loaded.users === 0) loaded.drained?.();
    };
  }

  /** Of one that has no name any more: nobody can begin to use it. */
  async #free(loaded: Loaded): Promise<void> {
    if (loaded.users > 0) {
      const drained = new Promise<void>((resolve) => {
        loaded.drained = resolve;
      });
      await heldOpen(drained);
    }
    await this.#between(() => this.#runner.unloadAdapter(loaded.handle));
  }

  #choose(choices: readonly AdapterChoice[]): { loaded: Loaded; scale: number }[] {
    const bad = (why: string): PronkError =>
      new PronkError("bad_request", `adapters: ${why}`, { param: "adapters" });
    if (!Array.isArray(choices)) throw bad("not a list");
    const seen = new Set<Loaded>();
    return choices.map((choice: AdapterChoice) => {
      const loaded = this.#find(choice?.name, "adapters");
      const { scale = loaded.scale } = choice;
      checkAdapterScale(scale, `adapters: ${shown(loaded.name)}`, "adapters");
      if (seen.has(loaded)) throw bad(`${shown(loaded.name)} is named twice`);
      seen.add(loaded);
      return { loaded, scale };
    });
  }

  #find(name: string, param: string): Loaded {
    const loaded = this.#byName.get(name);
    if (loaded !== undefined) return loaded;
    const names = [...this.#byName.keys()].map(shown).join(", ");
    const present = names === "" ? "none is" : `loaded: ${names}`;
    throw new PronkError("not_found", `adapters: ${shown(name)} is not loaded; ${present}`, {
      param,
    });
  }
}

/** Deltas add up; of tensors that are replaced there can be but one. */
function refuseConflicts(parts: readonly Loaded[]): void {
  const owners = new Map<string, Loaded>();
  for (const loaded of parts) {
    for (const tensor of loaded.replaced) {
      const other = owners.get(tensor);
      if (other !== undefined) {
        const both = `${shown(other.name)} and ${shown(loaded.name)} both replace ${tensor}`;
        throw new PronkError("bad_request", `adapters: ${both}`, { param: "adapters" });
      }
      owners.set(tensor, loaded);
    }
  }
}

function shown(name: unknown): string {
  return JSON.stringify(String(name).slice(0, 80));
}

function describe(loaded: Loaded): AdapterInfo {
  const { id, name, path, scale, defaultScale, fingerprint } = loaded;
  return { id, name, path, scale, default_scale: defaultScale, fingerprint };
}
