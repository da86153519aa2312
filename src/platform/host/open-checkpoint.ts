/** What users name, as a checkpoint: a directory of any library's, a pack, a GGUF file. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Checkpoint } from "../../checkpoints/checkpoint.ts";
import { openGgufCheckpoint } from "../../checkpoints/gguf-checkpoint.ts";
import {
  type CheckpointOptions,
  openCheckpointFolder,
  refuseMetaOptions,
} from "../../checkpoints/open-folder.ts";
import { openPackCheckpoint } from "../../checkpoints/pack-checkpoint.ts";
import { MANIFEST_NAME } from "../../pack/manifest.ts";
import { directoryFolder } from "./directory.ts";
import type { Host } from "./host.ts";
import { type OpenModelOptions, openSourceModel } from "./open-model.ts";

/** An open checkpoint, which its owner closes. */
export interface NamedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly kind: "pack" | "gguf" | "checkpoint";
  close(): Promise<void>;
}

/** @throws PronkError as openModel and the readers of checkpoints. */
export async function openNamedCheckpoint(
  host: Host,
  name: string,
  options: OpenModelOptions & CheckpointOptions,
): Promise<NamedCheckpoint> {
  const { signal, llama_version } = options;
  const found = await stat(name).catch(() => undefined);
  if (found?.isDirectory()) {
    const folder = directoryFolder(host, name);
    const isPack = await stat(join(name, MANIFEST_NAME)).catch(() => undefined);
    if (isPack) refuseMetaOptions({ llama_version }, name);
    return {
      checkpoint: isPack
        ? await openPackCheckpoint(folder, signal)
        : await openCheckpointFolder(folder, signal, { llama_version }),
      kind: isPack ? "pack" : "checkpoint",
      close: async () => {},
    };
  }
  refuseMetaOptions({ llama_version }, name);
  const model = await openSourceModel(host, name, options);
  try {
    const { input, close } = model;
    return "gguf" in input
      ? { checkpoint: await openGgufCheckpoint(input.gguf, signal), kind: "gguf", close }
      : { checkpoint: input.checkpoint, kind: "checkpoint", close };
  } catch (error) {
    await model.close();
    throw error;
  }
}
