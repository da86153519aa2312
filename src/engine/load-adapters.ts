/** Adapters that an engine has from its start: opened before its model is planned, loaded behind it. */
import type { LoraAdapter } from "../adapters/lora-adapter.ts";
import { openLoraAdapter } from "../adapters/open-lora-adapter.ts";
import type { SourceFolder } from "../sources/source.ts";
import type { Engine } from "./engine.ts";

/**
 * A folder with a PEFT adapter, or what names one: a path, `hf:OWNER/REPO`, a URL; or an adapter that
 * was opened already.
 */
export type AdapterSource = string | SourceFolder | LoraAdapter;

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

/** What a text stands for as an adapter's source. */
export type OpenAdapter = (name: string, signal?: AbortSignal) => Promise<SourceFolder>;

export interface OpenedAdapter {
  readonly name: string;
  readonly adapter: LoraAdapter;
  readonly scale: number;
}

/** Reads no weight. @throws PronkError as openLoraAdapter and `openName`. */
export async function openAdapter(
  source: AdapterSource,
  openName: OpenAdapter,
  signal?: AbortSignal,
): Promise<LoraAdapter> {
  if (typeof source !== "string" && "modules" in source) return source;
  const folder = typeof source === "string" ? await openName(source, signal) : source;
  return openLoraAdapter(folder, signal);
}

/** In the order they are given in. */
export async function openAdapters(
  { adapters = {} }: EngineAdapters,
  openName: OpenAdapter,
  signal?: AbortSignal,
): Promise<OpenedAdapter[]> {
  const opened: OpenedAdapter[] = [];
  for (const [name, given] of Object.entries(adapters)) {
    const isScaled = typeof given === "object" && "source" in given;
    const { source, scale = 1 } = isScaled ? given : { source: given };
    opened.push({ name, adapter: await openAdapter(source, openName, signal), scale });
  }
  return opened;
}

/** @throws PronkError as Engine.loadAdapter; the engine is disposed then. */
export async function loadAdapters(
  engine: Engine,
  opened: readonly OpenedAdapter[],
  { applyAdapters = true }: Pick<EngineAdapters, "applyAdapters">,
  signal?: AbortSignal,
): Promise<Engine> {
  try {
    for (const { name, adapter, scale } of opened) {
      await engine.loadAdapter(name, adapter, { scale, signal });
    }
    if (applyAdapters) engine.setAdapters(opened.map(({ name }) => ({ name })));
    return engine;
  } catch (error) {
    await engine.dispose();
    throw error;
  }
}
