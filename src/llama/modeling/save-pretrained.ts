/** `save_pretrained` of transformers: the weights that the kernels compute with, as a directory that loads again to the same bits. */
import type { Checkpoint } from "../../checkpoints/checkpoint.ts";
import { parseDtype } from "../../checkpoints/dtype.ts";
import { packedFloatTensor } from "../../checkpoints/packed-tensors.ts";
import { saveHfDirectory } from "../../checkpoints/save-hf.ts";
import { PronkError } from "../../errors.ts";
import type { FloatTensor } from "../../formats/float-tensor.ts";
import type { OutputFolder } from "../../formats/output-file.ts";
import type { LlamaConfig } from "../llama-config.ts";
import type { HeadKind } from "./heads.ts";
import type { BuiltRunner } from "./runner-build.ts";
import { parseShardSize } from "./shard-size.ts";

/** Takes whole files: one is in memory until it is complete. */
export type FileSink = (name: string, bytes: Uint8Array) => void | Promise<void>;

export interface SavePretrainedOptions {
  /** Bytes of tensors in a file, or "200MB". Default "5GB". */
  readonly max_shard_size?: number | string;
  /** False is refused: pickles are read, never written. */
  readonly safe_serialization?: boolean;
  /** `model.VARIANT.safetensors`. */
  readonly variant?: string;
  /** Of all weights: float32, bfloat16, float16. Default: each keeps its own; quantized ones become float32. */
  readonly dtype?: string;
  /** True is refused. */
  readonly push_to_hub?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly written: number; readonly total: number }) => void;
}

/** What of a model is saved. */
export interface SavedModel {
  /** `LlamaForCausalLM` */
  readonly architecture: string;
  readonly head: HeadKind;
  readonly config: LlamaConfig;
  /** Of models that generate. */
  readonly generation_config?: Readonly<Record<string, unknown>>;
}

/**
 * @returns the names of the files written.
 * @throws PronkError "unsupported" for pickles and the hub; "bad_request"; what the folder throws.
 */
export function savePretrained(
  model: SavedModel,
  { runner, tensors }: BuiltRunner,
  target: OutputFolder | FileSink,
  options: SavePretrainedOptions = {},
): Promise<string[]> {
  const { max_shard_size: size = "5GB", variant, dtype, signal, onProgress } = options;
  if (options.safe_serialization === false) {
    throw new PronkError("unsupported", "safe_serialization: pickles are read, never written", {
      param: "safe_serialization",
    });
  }
  if (options.push_to_hub) throw noHub();
  const { head, config, generation_config, architecture } = model;
  const { weights } = runner;
  const named = tensors.map((tensor): [string, FloatTensor] => {
    const name = savedName(head, tensor.name);
    return [name, packedFloatTensor({ ...tensor, name }, (from, to) => weights.subarray(from, to))];
  });
  const { quantization_config: _, ...fields } = config.toJSON();
  const checkpoint: Checkpoint = {
    name: architecture,
    config: { ...fields, architectures: [architecture] },
    tensors: new Map(named),
    ...(generation_config && { generation_config }),
  };
  return saveHfDirectory(checkpoint, typeof target === "function" ? sinkFolder(target) : target, {
    maxShardBytes: parseShardSize(size),
    ...(dtype !== undefined && { dtype: parseDtype(dtype) }),
    ...(variant !== undefined && { variant }),
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  });
}

export function noHub(): PronkError {
  return new PronkError("unsupported", "push_to_hub: nothing is uploaded; save to a folder", {
    param: "push_to_hub",
  });
}

/** As the class of transformers calls its weights. */
function savedName(head: HeadKind, name: string): string {
  if (head === "none") return name.replace(/^model\./, "");
  if (head === "question-answering") return name.replace(/^model\./, "transformer.");
  return name;
}

function sinkFolder(sink: FileSink): OutputFolder {
  return {
    name: "sink",
    async create(name) {
      let parts: Uint8Array[] = [];
      return {
        async write(bytes) {
          parts.push(bytes.slice());
        },
        async close() {
          const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
          let at = 0;
          for (const part of parts) {
            whole.set(part, at);
            at += part.length;
          }
          parts = [];
          await sink(name, whole);
        },
        async discard() {
          parts = [];
        },
      };
    },
  };
}
