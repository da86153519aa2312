/** The adapters of --lora for what writes a model: opened, to be merged into its weights. */
import type { WeightedAdapter } from "../adapters/merge-lora.ts";
import { openLoraAdapter } from "../adapters/open-lora-adapter.ts";
import { openAdapterFolder } from "../platform/host/open-adapter.ts";
import type { Arguments, CliContext } from "./command.ts";
import { loraOptions } from "./lora-options.ts";

/** @throws UsageError; PronkError as openLoraAdapter. */
export async function mergedAdapters(
  input: Arguments,
  { host, env, fetch, signal }: CliContext,
): Promise<WeightedAdapter[]> {
  const adapters: WeightedAdapter[] = [];
  for (const { source, scale } of loraOptions(input)) {
    const folder = await openAdapterFolder(host, source, { env, fetch, signal });
    adapters.push({ adapter: await openLoraAdapter(folder, signal), weight: scale });
  }
  return adapters;
}
