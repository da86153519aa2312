/** Adapters that an engine has from its start. */
import type { SourceFolder } from "../sources/source.ts";
import type { Engine } from "./engine.ts";

/** A folder with a PEFT adapter, or what names one: a path, `hf:OWNER/REPO`, a URL. */
export type AdapterSource = string | SourceFolder;

export interface EngineAdapters {
  /** LoRA adapters by their names, with where each is and what it is multiplied by: 1 unless said. */
  readonly adapters?: Readonly<
    Record<string, AdapterSource | { readonly source: AdapterSource; readonly scale?: number }>
  >;
  /**
   * Whether requests that name no adapters get all of these, as of llama.cpp's server; false: the model
   * alone, until setAdapters() is called. Default true.
   */
  readonly applyAdapters?: boolean;
}

/** @throws PronkError as Engine.loadAdapter; the engine is disposed then. */
export async function loadAdapters(
  engine: Engine,
  { adapters = {}, applyAdapters = true }: EngineAdapters,
  signal?: AbortSignal,
): Promise<Engine> {
  try {
    for (const [name, adapter] of Object.entries(adapters)) {
      const isSource = typeof adapter === "string" || "open" in adapter;
      const { source, scale } = isSource ? { source: adapter, scale: 1 } : adapter;
      await engine.loadAdapter(name, source, { scale, signal });
    }
    if (applyAdapters) engine.setAdapters(Object.keys(adapters).map((name) => ({ name })));
    return engine;
  } catch (error) {
    await engine.dispose();
    throw error;
  }
}
