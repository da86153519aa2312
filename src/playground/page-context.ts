/** What a page is started with, and what its parts are given: the engine, and how a model is chosen. */
import type { ReadonlySignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { type Context, createContext, type Provider } from "preact";
import { useContext } from "preact/hooks";
import type { EngineFacts, PlaygroundEngine } from "./engine.ts";

export interface PageOptions {
  readonly kind: PlaygroundEngine["kind"];
  /** undefined: there is none yet; ModelPanel says why, and what to do. */
  readonly engine: ReadonlySignal<PlaygroundEngine | undefined>;
  /** Stands in the settings under "Model", and in place of the conversation while there is no engine. */
  readonly ModelPanel: ComponentType;
}

export interface PageContext extends PageOptions {
  /** Of the engine that is there; undefined until it has told. */
  readonly facts: ReadonlySignal<EngineFacts | undefined>;
}

const context: Context<PageContext | undefined> = createContext<PageContext | undefined>(undefined);

export const PageProvider: Provider<PageContext | undefined> = context.Provider;

/** @throws Error outside of a page. */
export function usePage(): PageContext {
  const page = useContext(context);
  if (page === undefined) throw new Error("usePage: outside of a page");
  return page;
}
