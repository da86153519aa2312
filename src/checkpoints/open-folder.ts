/** Opens a folder that holds a checkpoint, by the files that are in it. */
import { PronkError } from "../errors.ts";
import { MANIFEST_NAME } from "../pack/manifest.ts";
import type { SourceFolder } from "../sources/source.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { openIfPresent } from "./companion-files.ts";
import { FAIRSEQ2_NAME, openFairseq2Directory } from "./fairseq2-directory.ts";
import { FLAX_INDEX_NAME, FLAX_NAME, openFlaxDirectory } from "./flax-directory.ts";
import {
  CONFIG_NAME,
  openHfDirectory,
  SAFETENSORS_INDEX_NAME,
  SAFETENSORS_NAME,
} from "./hf-directory.ts";
import { META_FIRST_SHARD, type MetaOptions, openMetaDirectory } from "./meta-directory.ts";
import {
  openTorchBinDirectory,
  TORCH_BIN_INDEX_NAME,
  TORCH_BIN_NAME,
} from "./torch-bin-directory.ts";

/** What the files of a checkpoint may leave open. */
export type CheckpointOptions = MetaOptions;

interface FolderKind {
  /** Any of these marks it. */
  readonly marks: readonly string[];
  readonly open: (
    folder: SourceFolder,
    signal?: AbortSignal,
    options?: CheckpointOptions,
  ) => Promise<Checkpoint>;
}

/** @throws PronkError "bad_request" when one is given: `where` is no checkpoint of Meta's. */
export function refuseMetaOptions({ llama_version }: CheckpointOptions, where: string): void {
  if (llama_version === undefined) return;
  throw new PronkError(
    "bad_request",
    `${where}: llama_version is for Meta's params.json; this has a configuration that says it`,
    { param: "llama_version" },
  );
}

/** In the order of preference where a folder has several. */
const KINDS: readonly FolderKind[] = [
  { marks: [SAFETENSORS_NAME, SAFETENSORS_INDEX_NAME], open: openHfDirectory },
  { marks: [TORCH_BIN_NAME, TORCH_BIN_INDEX_NAME], open: openTorchBinDirectory },
  { marks: [FLAX_NAME, FLAX_INDEX_NAME], open: openFlaxDirectory },
  { marks: [META_FIRST_SHARD], open: openMetaDirectory },
  { marks: [FAIRSEQ2_NAME], open: openFairseq2Directory },
];

/**
 * @throws PronkError "not_found" when no such checkpoint is there; as the reader of its kind does.
 */
export async function openCheckpointFolder(
  folder: SourceFolder,
  signal?: AbortSignal,
  options: CheckpointOptions = {},
): Promise<Checkpoint> {
  for (const { marks, open } of KINDS) {
    for (const mark of marks) {
      if (!(await openIfPresent(folder, mark, signal))) continue;
      if (open !== openMetaDirectory) refuseMetaOptions(options, folder.name);
      return open(folder, signal, options);
    }
  }
  const marks = [MANIFEST_NAME, ...KINDS.flatMap((kind) => kind.marks)].join(", ");
  const config = await openIfPresent(folder, CONFIG_NAME, signal);
  const found = config ? "weights are missing" : "no checkpoint";
  throw new PronkError("not_found", `${folder.name}: ${found}; looked for ${marks}`);
}
