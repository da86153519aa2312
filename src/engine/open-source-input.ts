/** Opens what is not a pack yet, whatever it is. */

import { openCheckpoint } from "./open-checkpoint.ts";
import { type GgufOptions, openGguf } from "./open-gguf.ts";
import type { SourceInput } from "./opened-model.ts";
import type { OpenedSource } from "./packed-source.ts";

export type SourceOptions = GgufOptions;

/** @throws PronkError as openGguf and openCheckpoint. */
export function openSourceInput(
  input: SourceInput,
  options: SourceOptions,
  signal?: AbortSignal,
): Promise<OpenedSource> {
  return "gguf" in input
    ? openGguf(input.gguf, options, signal)
    : openCheckpoint(input.checkpoint, options, signal);
}
