/** Where a model's adapters come from: as models do, or opened already. */
import type { LoraAdapter } from "../../adapters/lora-adapter.ts";
import { openLoraAdapter } from "../../adapters/open-lora-adapter.ts";
import { PronkError } from "../../errors.ts";
import type { SourceFolder } from "../../sources/source.ts";
import {
  innerFolder,
  isFolder,
  type ModelOpener,
  refuseRevision,
  type SourceOptions,
} from "./pretrained-source.ts";

export interface LoadAdapterOptions extends Omit<SourceOptions, "gguf_file"> {
  /** Default "default". */
  readonly adapter_name?: string;
}

/** As PEFT calls an adapter that has no name. */
export const DEFAULT_ADAPTER = "default";

export interface OpenedAdapter {
  readonly adapter: LoraAdapter;
  /** Its weights are read while it is loaded, and again when it is merged. */
  readonly close: () => Promise<void>;
}

/** @throws PronkError "unsupported" for a name where there is nothing that opens names; as openLoraAdapter. */
export async function openAdapter(
  opener: Pick<ModelOpener, "open"> | undefined,
  source: string | SourceFolder | LoraAdapter,
  options: LoadAdapterOptions,
): Promise<OpenedAdapter> {
  const { signal } = options;
  const nothing = async (): Promise<void> => {};
  if (typeof source !== "string") {
    refuseRevision(options, "what is open");
    if ("modules" in source) return { adapter: source, close: nothing };
    const folder = (await innerFolder(source, options)) as SourceFolder;
    return { adapter: await openLoraAdapter(folder, signal), close: nothing };
  }
  if (!opener) throw new PronkError("unsupported", `${source}: names are not opened here`);
  const opened = await opener.open(source, { ...options, part: "model" });
  const close = (): Promise<void> => opened.close();
  try {
    if (!isFolder(opened.source)) {
      throw new PronkError("not_found", `${source}: a model, not the folder of an adapter`);
    }
    return { adapter: await openLoraAdapter(opened.source, signal), close };
  } catch (error) {
    await close();
    throw error;
  }
}
