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
  type HfDirectoryOptions,
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

/** What its weights lie in. */
export type CheckpointKind = "safetensors" | "pytorch" | "flax" | "meta" | "fairseq2";

/** What the files of a checkpoint may leave open. */
export interface CheckpointOptions extends MetaOptions, HfDirectoryOptions {
  /** Those that are taken, in the order of preference. Default: all, in the order of the type. */
  readonly kinds?: readonly CheckpointKind[];
}

interface FolderKind {
  readonly kind: CheckpointKind;
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
  { kind: "safetensors", marks: [SAFETENSORS_NAME, SAFETENSORS_INDEX_NAME], open: openHfDirectory },
  { kind: "pytorch", marks: [TORCH_BIN_NAME, TORCH_BIN_INDEX_NAME], open: openTorchBinDirectory },
  { kind: "flax", marks: [FLAX_NAME, FLAX_INDEX_NAME], open: openFlaxDirectory },
  { kind: "meta", marks: [META_FIRST_SHARD], open: openMetaDirectory },
  { kind: "fairseq2", marks: [FAIRSEQ2_NAME], open: openFairseq2Directory },
];

/**
 * @throws PronkError "not_found" when no such checkpoint is there; as the reader of its kind does.
 */
export async function openCheckpointFolder(
  folder: SourceFolder,
  signal?: AbortSignal,
  options: CheckpointOptions = {},
): Promise<Checkpoint> {
  if (options.variant !== undefined) {
    refuseMetaOptions(options, folder.name);
    return openHfDirectory(folder, signal, options);
  }
  const wanted =
    options.kinds?.flatMap((name) => KINDS.filter(({ kind }) => kind === name)) ?? KINDS;
  for (const { marks, open } of wanted) {
    for (const mark of marks) {
      if (!(await openIfPresent(folder, mark, signal))) continue;
      if (open !== openMetaDirectory) refuseMetaOptions(options, folder.name);
      return open(folder, signal, options);
    }
  }
  const marks = [MANIFEST_NAME, ...wanted.flatMap(({ marks }) => marks)].join(", ");
  const config = await openIfPresent(folder, CONFIG_NAME, signal);
  const found = config ? "weights are missing" : "no checkpoint";
  throw new PronkError("not_found", `${folder.name}: ${found}; looked for ${marks}`);
}
