/** What an engine runs: everything about one model, in memory and ready. */
import type { Runner } from "../backends/backend.ts";
import type { ChatTemplate } from "../templates/chat-template.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { ModelInfo } from "./engine.ts";

export interface LoadedModel {
  /** The engine owns it from then on: its slots are written by nobody else, and it is disposed. */
  readonly runner: Runner;
  readonly tokenizer: Tokenizer;
  readonly template?: ChatTemplate | undefined;
  readonly info: ModelInfo;
  /** Of its weights and configuration: the same on every backend. Absent where no backend but this one runs it. */
  readonly contents?: string;
}
