/** Which files of a Hugging Face repository make a model. */
import { variantName } from "../checkpoints/hf-directory.ts";
import type { CheckpointKind } from "../checkpoints/open-folder.ts";
import { PronkError } from "../errors.ts";
import { parseBoundedJson } from "../formats/bounded-json.ts";
import { isMapping } from "./assets/merge-config.ts";
import { isRepositoryPath } from "./model-reference.ts";

/** What belongs to a tokenizer. */
export const TOKENIZER_FILES: readonly string[] = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "tokenizer.model",
  "chat_template.jinja",
  "chat_template.json",
];

/** Weights in the order of preference: of one kind an index, or one file. */
const WEIGHTS: readonly {
  readonly kind: CheckpointKind | "adapter";
  readonly index: string;
  readonly single: string;
}[] = [
  { kind: "safetensors", ...indexed("model.safetensors") },
  { kind: "pytorch", ...indexed("pytorch_model.bin") },
  { kind: "flax", ...indexed("flax_model.msgpack") },
  { kind: "adapter", ...indexed("adapter_model.safetensors") },
  { kind: "adapter", ...indexed("adapter_model.bin") },
];

function indexed(single: string): { readonly index: string; readonly single: string } {
  return { index: `${single}.index.json`, single };
}

/** Configurations, of which each is taken that is there; the first marks the folder. */
const CONFIGS = ["config.json", "params.json", "adapter_config.json"];

const CONSOLIDATED = /^consolidated\.\d\d\.pth$/;

/** More shards than any published model has. */
const MAX_SHARDS = 1000;

export interface RepositoryFiles {
  /** Configuration first; the index, where there is one, but not yet the shards that it names. */
  readonly names: readonly string[];
  /** Its `weight_map` names files that are wanted too. */
  readonly index: string | undefined;
}

function variantOf(names: ReturnType<typeof indexed>, variant: string): typeof names {
  return {
    index: variantName(names.index, variant),
    single: variantName(names.single, variant),
  };
}

/** The configuration alone, or that of generation, else the model's; undefined where there is none. */
export function configFiles(
  names: Iterable<string>,
  part: "config" | "generation",
): RepositoryFiles | undefined {
  const present = new Set(names);
  const wanted =
    part === "generation" ? ["generation_config.json", "config.json"] : ["config.json"];
  const found = wanted.find((name) => present.has(name));
  return found === undefined ? undefined : { names: [found], index: undefined };
}

/**
 * The files of a checkpoint; undefined when there is none.
 *
 * @param kinds of weights that are taken, in the order of preference; default: all
 * @param variant of safetensors, which are taken alone then: `fp16`
 */
export function checkpointFiles(
  names: Iterable<string>,
  kinds?: readonly CheckpointKind[],
  variant?: string,
): RepositoryFiles | undefined {
  const present = new Set(names);
  const configs = CONFIGS.filter((name) => present.has(name));
  if (configs.length === 0) return undefined;
  const others = ["generation_config.json", ...TOKENIZER_FILES].filter((name) => present.has(name));
  const wanted = kinds?.flatMap((name) => WEIGHTS.filter(({ kind }) => kind === name)) ?? WEIGHTS;
  const found = variant === undefined ? wanted : [variantOf(WEIGHTS[0]!, variant)];
  for (const { index, single } of found) {
    if (present.has(single)) return { names: [...configs, ...others, single], index: undefined };
    if (present.has(index)) return { names: [...configs, ...others, index], index };
  }
  if (variant !== undefined) return undefined;
  const consolidated = [...present].filter((name) => CONSOLIDATED.test(name)).sort();
  if (consolidated.length === 0 || kinds?.includes("meta") === false) return undefined;
  return { names: [...configs, ...others, ...consolidated], index: undefined };
}

/**
 * The files that an index spreads the weights over, ascending.
 *
 * @throws PronkError "bad_format"
 */
export function shardNames(index: Uint8Array, where: string): string[] {
  const data = parseBoundedJson(
    index,
    (why, cause) => new PronkError("bad_format", `${where}: ${why}`, { cause }),
  );
  const map = isMapping(data) ? data.weight_map : undefined;
  if (!isMapping(map)) throw new PronkError("bad_format", `${where}: has no weight_map`);
  const names = [...new Set(Object.values(map))].sort();
  const wrong = names.find((name) => typeof name !== "string" || !isRepositoryPath(name));
  if (wrong !== undefined) {
    throw new PronkError("bad_format", `${where}: ${JSON.stringify(wrong)} is no file name`);
  }
  if (names.length > MAX_SHARDS) {
    throw new PronkError("bad_format", `${where}: ${names.length} files, more than ${MAX_SHARDS}`);
  }
  return names as string[];
}
