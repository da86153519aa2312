/** What the page asks of its worker, and what it is answered. */
import type { Backend } from "../../engine/backend-name.ts";
import type { EngineFacts } from "../engine.ts";
import type { ModelEntry } from "./model-library.ts";
import type { TransferProgress } from "./transfer-progress.ts";

/** `library`: models beside the page and those that are kept. */
export interface LibraryState {
  readonly models: readonly ModelEntry[];
  readonly storedBytes: number;
  /** What this site may still keep; undefined where the browser does not say. */
  readonly roomBytes?: number | undefined;
  /** Why nothing is kept, where it is not. */
  readonly keepsNothing?: string | undefined;
  /** Of the model that runs, where it is one that is kept. */
  readonly openKey?: string | undefined;
}

/** A model of the library, or files that were dropped: a GGUF, or all parts of one. */
export type ModelChoice =
  | { readonly key: string }
  | { readonly files: readonly File[] /** As a pack, for next time. */; readonly keep: boolean };

export interface OpenOptions {
  /** Default "auto": the GPU where it is a real one and faster. */
  readonly backend?: Backend;
  /** Default "auto": one a core, where the page may share memory. */
  readonly threads?: number | "auto";
  /** Positions. Default: the model's, 4,096 at most. */
  readonly ctx?: number;
}

/** `open`, told where it stands by OpenPart, ends with the facts of the engine. */
export interface OpenArgument {
  readonly model: ModelChoice;
  readonly options: OpenOptions;
}

export interface OpenPart extends TransferProgress {
  /** Fetched into the browser's storage, packed there, or put into memory. */
  readonly phase: "download" | "pack" | "load";
}

export type OpenEnd = EngineFacts;
