/** The views beside the chat, in the order of their tabs, and what the chat asks of other files. */
import "./views.css";
import type { ComponentType } from "preact";
import { later } from "../parts/later.tsx";
import type { TokenViewProps } from "./token-view.tsx";
import type { View } from "./view.ts";

export type { TokenViewProps } from "./token-view.tsx";
export type { View, ViewProps } from "./view.ts";

export const TokenView: ComponentType<TokenViewProps> = later(
  async () => (await import("./token-view.tsx")).TokenView,
);

/** Each stands behind a tab of its own, where there is an engine. */
export const VIEWS: readonly View[] = [
  {
    id: "json",
    title: "JSON schema",
    Component: later(async () => (await import("./schema-view.tsx")).SchemaView),
  },
  {
    id: "tools",
    title: "Tools",
    Component: later(async () => (await import("./tools-view.tsx")).ToolsView),
  },
  {
    id: "tokenizer",
    title: "Tokenizer",
    Component: later(async () => (await import("./tokenizer-view.tsx")).TokenizerView),
  },
  {
    id: "attention",
    title: "Attention mask",
    Component: later(async () => (await import("./attention-view.tsx")).AttentionView),
  },
];
