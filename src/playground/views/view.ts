/** What a view beside the chat is. */
import type { ComponentType } from "preact";
import type { PlaygroundEngine } from "../engine.ts";

export interface View {
  /** In the page's address: `#tokenizer`. */
  readonly id: string;
  /** Of its tab. */
  readonly title: string;
  readonly Component: ComponentType<ViewProps>;
}

export interface ViewProps {
  readonly engine: PlaygroundEngine;
}
