/** The model classes of a host with files. */
import { bindModels, type LlamaClasses } from "../../llama/modeling/bind-models.ts";
import { loadParts } from "../../llama/modeling/load-parts.ts";
import { createRuntime } from "./create-engine.ts";
import type { Host } from "./host.ts";
import { openUnpacked } from "./open-model.ts";

export function hostModels(host: Host): LlamaClasses {
  return bindModels(async (source, head, options) => {
    const runtime = await createRuntime(host, 128);
    if (typeof source !== "string") return loadParts(source, head, runtime, options);
    const { fetch } = host;
    const { signal } = options;
    const named = await openUnpacked(host, source, { env: process.env, fetch, signal });
    try {
      return await loadParts(named.input, head, runtime, options);
    } finally {
      await named.close();
    }
  });
}
