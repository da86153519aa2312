/**
 * Opens an adapter as PEFT's save_pretrained writes it: adapter_config.json and adapter_model.safetensors, or
 * adapter_model.bin through the restricted unpickler. Reads no weight. Every tensor must be one that the configuration
 * names: what would be ignored is refused.
 *
 * Source: get_peft_model_state_dict (peft/utils/save_and_load.py, 0.21).
 */
import { openIfPresent, readJson } from "../checkpoints/companion-files.ts";
import { safetensorsCheckpointTensors } from "../checkpoints/hf-directory.ts";
import { PronkError } from "../errors.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { printable } from "../formats/printable.ts";
import { readSafetensors } from "../formats/safetensors/read-safetensors.ts";
import { readTorch } from "../formats/torch/read-torch.ts";
import type { SourceFolder } from "../sources/source.ts";
import type { LoraAdapter, LoraModule } from "./lora-adapter.ts";
import { type LoraConfig, parseLoraConfig } from "./lora-config.ts";
import { TargetModules } from "./target-modules.ts";

export const ADAPTER_CONFIG_NAME = "adapter_config.json";
const ADAPTER_SAFETENSORS_NAME = "adapter_model.safetensors";
const ADAPTER_BIN_NAME = "adapter_model.bin";

/** Of PeftModel and the tuner in it. */
const PREFIX = "base_model.model.";

/** What PEFT trains in full with these tasks, whether the file says so or not. */
const TASK_MODULES: Readonly<Record<string, readonly string[]>> = {
  SEQ_CLS: ["classifier", "score"],
  TOKEN_CLS: ["classifier", "score"],
  QUESTION_ANS: ["qa_outputs"],
};

/** Far above the longest of real names; bounds what is made of a hostile one. */
const MAX_NAME = 256;

const FACTOR = /^(.+)\.lora_(embedding_)?([AB])(?:\.(weight|bias))?$/;

/** In names of the three kinds of models: with a head, LlamaModel itself, for question answering. */
const INNER = /^(?:model\.|transformer\.)?(?=layers\.|embed_tokens(?:\.|$)|norm(?:\.|$))/;

/**
 * @throws PronkError "not_found" without the files; "unsupported" naming what is not built; "bad_format" where tensors are
 *   missing or have odd shapes; "source_failed"; "aborted".
 */
export async function openLoraAdapter(
  folder: SourceFolder,
  signal?: AbortSignal,
): Promise<LoraAdapter> {
  const source = await openIfPresent(folder, ADAPTER_CONFIG_NAME, signal);
  if (!source) {
    const what = `no adapter of PEFT: ${ADAPTER_CONFIG_NAME} is missing`;
    throw new PronkError("not_found", `${folder.name}: ${what}`);
  }
  const where = `${folder.name}: ${ADAPTER_CONFIG_NAME}`;
  const parsed = parseLoraConfig(await readJson(source, signal), where);
  const task = parsed.task_type ?? "";
  const ofTask = Object.hasOwn(TASK_MODULES, task) ? TASK_MODULES[task]! : [];
  const modules_to_save = [...new Set([...parsed.modules_to_save, ...ofTask])];
  const config = { ...parsed, modules_to_save };
  return readAdapter(folder.name, config, where, await readTensors(folder, signal));
}

async function readTensors(
  folder: SourceFolder,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, FloatTensor>> {
  const safetensors = await openIfPresent(folder, ADAPTER_SAFETENSORS_NAME, signal);
  if (safetensors) {
    return safetensorsCheckpointTensors(await readSafetensors(safetensors, signal));
  }
  const bin = await openIfPresent(folder, ADAPTER_BIN_NAME, signal);
  if (!bin) {
    const what = `neither ${ADAPTER_SAFETENSORS_NAME} nor ${ADAPTER_BIN_NAME}`;
    throw new PronkError("not_found", `${folder.name}: ${what}`);
  }
  const states = await readTorch(bin, signal);
  return new Map([...states].map(([key, state]) => [key, state.open(key)]));
}

type Factors = Partial<Record<"A" | "B" | "bias", FloatTensor>>;

function readAdapter(
  name: string,
  config: LoraConfig,
  where: string,
  tensors: ReadonlyMap<string, FloatTensor>,
): LoraAdapter {
  const targets = new TargetModules(config, where);
  const factors = new Map<string, Factors>();
  const replaced = new Map<string, FloatTensor>();
  const copies = new Map<string, FloatTensor>();
  let inner: string | undefined;
  for (const [key, tensor] of tensors) {
    const refuse = (why: string): PronkError =>
      new PronkError("unsupported", `${name}: tensor ${printable(key)}: ${why}`);
    if (key.length > MAX_NAME) throw refuse(`a name of ${key.length} characters`);
    if (!key.startsWith(PREFIX)) throw refuse(`its name does not begin with ${PREFIX}`);
    const own = key.slice(PREFIX.length);
    inner ??= INNER.exec(own)?.[0];
    const [, module, , letter, kind] = FACTOR.exec(own) ?? [];
    if (module !== undefined) {
      if (!targets.has(module)) throw refuse(`${where} gives its module no factors`);
      const found = factors.get(module) ?? {};
      if (kind !== "bias") found[letter as "A" | "B"] = tensor;
      else if (letter === "B" && config.lora_bias) found.bias = tensor;
      else throw refuse("a bias, and lora_bias is false");
      factors.set(module, found);
      continue;
    }
    const plain = own.replace(/\.base_layer\.(?=weight$|bias$)/, ".");
    const isBase = plain !== own;
    if (isBase && plain.endsWith(".weight")) copies.set(standardName(plain), tensor);
    else if (isSaved(plain, config) || (config.bias !== "none" && plain.endsWith(".bias"))) {
      replaced.set(standardName(plain), tensor);
    } else if (/^(?:lm_head|(?:model\.)?embed_tokens)\.weight$/.test(own)) {
      // Saved whenever the vocabulary was resized, or on demand.
      copies.set(standardName(plain), tensor);
    } else throw refuse(`no rule of ${where} names it`);
  }
  const modules = new Map<string, LoraModule>();
  for (const [module, found] of factors) {
    const read = loraModule(name, module, found, targets);
    modules.set(read.module, read);
  }
  if (modules.size + replaced.size === 0) {
    throw new PronkError("bad_format", `${name}: the adapter holds no tensors`);
  }
  const original = (module: string): string => module.replace(/^model\./, inner ?? "model.");
  const has = (module: string): boolean => targets.has(original(module));
  return { name, config, modules, replaced, copies, targets: has };
}

function loraModule(
  name: string,
  module: string,
  { A: a, B: b, bias }: Factors,
  targets: TargetModules,
): LoraModule {
  const bad = (why: string): PronkError =>
    new PronkError("bad_format", `${name}: module ${printable(module)}: ${why}`);
  if (!a || !b) throw bad(`lora_${a ? "B" : "A"} is missing`);
  const rank = targets.rankOf(module);
  for (const [letter, { shape }, at] of [["A", a, 0] as const, ["B", b, 1] as const]) {
    if (shape.length === 2 && shape[at] === rank) continue;
    throw bad(`lora_${letter} has shape [${shape}], adapter_config.json says rank ${rank}`);
  }
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== b.shape[0])) {
    throw bad(`the bias of lora_B has shape [${bias.shape}], lora_B [${b.shape}]`);
  }
  const scaling = targets.scalingOf(module);
  const factors = { rank, scaling, a, b, ...(bias && { bias }) };
  return { module: standardName(module), ...factors };
}

/** As in a model with a head. */
export function standardName(name: string): string {
  return name.replace(INNER, "model.");
}

/** PEFT takes every module whose name ends so, with all that is in it. */
function isSaved(tensor: string, { modules_to_save: saved }: LoraConfig): boolean {
  const parts = tensor.split(".");
  return parts.some((_, end) => {
    const module = parts.slice(0, end).join(".");
    return end > 0 && saved.some((own) => module === own || module.endsWith(own));
  });
}
