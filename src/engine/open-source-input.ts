/** Opens what is not a pack yet, whatever it is. */

import { openCheckpoint } from "./open-checkpoint.ts";
import { type GgufOptions, openGguf } from "./open-gguf.ts";
import type { SourceInput } from "./opened-model.ts";
import type { OpenedSource } from "./packed-source.ts";

export type SourceOptions = GgufOptions;

/** @throws PronkError as openGguf and openCheckpoint. */
export async function openSourceInput(
  input: SourceInput,
  options: SourceOptions,
  signal?: AbortSignal,
): Promise<OpenedSource> {
  if ("checkpoint" in input) return openCheckpoint(input.checkpoint, options, signal);
  const { gguf, lora } = input;
  const opened = await openGguf(gguf, options, signal);
  if (!lora) return opened;
  // Loaded only here: what merges is for who asks for it.
  const { openGgufCheckpoint } = await import("../checkpoints/gguf-checkpoint.ts");
  const { mergedSource } = await import("./merged-source.ts");
  return mergedSource(opened, await openGgufCheckpoint(gguf, signal), lora);
}
