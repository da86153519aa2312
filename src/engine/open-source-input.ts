/** Opens what is not a pack yet, whatever it is. */

import { classificationHead } from "../model/classification-head.ts";
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
  if ("checkpoint" in input) {
    const { checkpoint } = input;
    const { config, tensors } = checkpoint;
    const head = classificationHead(config, (name) => tensors.get(name)?.shape);
    return openCheckpoint(checkpoint, options, signal, head);
  }
  const { gguf, lora } = input;
  const opened = await openGguf(gguf, options, signal);
  if (!lora) return opened;
  // Loaded only here: what merges is for who asks for it.
  const { openGgufCheckpoint } = await import("../checkpoints/gguf-checkpoint.ts");
  const { mergedSource } = await import("./merged-source.ts");
  return mergedSource(opened, await openGgufCheckpoint(gguf, signal), lora);
}
