/** Checkpoints of other libraries, as every public entry exports them. */
export type { Checkpoint, CheckpointFile } from "../checkpoints/checkpoint.ts";
export { openGgufCheckpoint } from "../checkpoints/gguf-checkpoint.ts";
export type { LlamaVersion } from "../checkpoints/meta-config.ts";
export { type CheckpointOptions, openCheckpointFolder } from "../checkpoints/open-folder.ts";
export { openPackCheckpoint } from "../checkpoints/pack-checkpoint.ts";
export { type SaveGgufOptions, saveGguf } from "../checkpoints/save-gguf.ts";
export { type SaveOptions, saveHfDirectory } from "../checkpoints/save-hf.ts";
export { type SaveMetaOptions, saveMetaDirectory } from "../checkpoints/save-meta.ts";
export type { FloatTensor, FloatType } from "../formats/float-tensor.ts";
export type { OutputFile, OutputFolder } from "../formats/output-file.ts";
