/**
 * A GGUF model with adapters merged into it: what they change is computed from the dequantized weights and quantized
 * again to the form that it would have had; the file's other blocks stay as they are, and so do its tokenizer and facts.
 */
import { mergeLora, type WeightedAdapter } from "../adapters/merge-lora.ts";
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { asTensorInfo } from "../checkpoints/checkpoint-entries.ts";
import { PronkError } from "../errors.ts";
import { parseLlamaConfig } from "../model/config.ts";
import { EMBEDDING, llamaTensors } from "../model/tensors.ts";
import type { PackEntry } from "../pack/image-plan.ts";
import type { SourceInput } from "./opened-model.ts";
import { type OpenedSource, openPackedSource } from "./packed-source.ts";

/** @param base the same model as a checkpoint. @throws PronkError as mergeLora. */
export function mergedSource(
  source: OpenedSource,
  base: Checkpoint,
  adapters: readonly WeightedAdapter[],
): OpenedSource {
  const merged = mergeLora(base, adapters);
  const config = parseLlamaConfig(merged.config, base.name);
  const own = new Map(source.entries.map((entry) => [entry.name, entry]));
  const entries = llamaTensors(config).map(({ name }): PackEntry => {
    // A head that was the embedding has its form.
    const entry = own.get(name) ?? own.get(EMBEDDING);
    const tensor = merged.tensors.get(name);
    if (!entry || !tensor) throw new PronkError("bad_format", `${base.name}: ${name} is missing`);
    if (own.has(name) && base.tensors.get(name) === tensor) return entry;
    const { rowOrder: _, ...rest } = entry;
    return { ...rest, name, tensor: asTensorInfo(tensor, base.name) };
  });
  return openPackedSource({
    facts: source.facts,
    config,
    manifestConfig: { ...config },
    entries,
    compileTokenizer: (signal) => source.compileTokenizer(signal),
  });
}

/** The input with adapters that are merged as its weights are read. @throws PronkError as mergeLora. */
export function withLora(input: SourceInput, adapters: readonly WeightedAdapter[]): SourceInput {
  if (adapters.length === 0) return input;
  return "gguf" in input
    ? { ...input, lora: [...(input.lora ?? []), ...adapters] }
    : { checkpoint: mergeLora(input.checkpoint, adapters) };
}
