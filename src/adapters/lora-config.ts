/**
 * adapter_config.json of PEFT: the fields of LoraConfig that decide what is computed. What is another method, or changes
 * the products in a way that is not built, is refused by name.
 *
 * Source: peft/tuners/lora/config.py (0.21).
 */
import { PronkError } from "../errors.ts";
import { printable, shown } from "../formats/printable.ts";

export interface LoraConfig {
  readonly r: number;
  readonly lora_alpha: number;
  readonly use_rslora: boolean;
  /** Patterns, the first that matches a module's name wins. */
  readonly rank_pattern: ReadonlyMap<string, number>;
  readonly alpha_pattern: ReadonlyMap<string, number>;
  /** Names, or one regular expression, or "all-linear"; null: whatever has tensors. */
  readonly target_modules: readonly string[] | string | null;
  readonly exclude_modules: readonly string[] | string | null;
  readonly layers_to_transform: readonly number[] | null;
  readonly layers_pattern: readonly string[];
  readonly modules_to_save: readonly string[];
  readonly bias: "none" | "all" | "lora_only";
  readonly lora_bias: boolean;
  readonly task_type: string | null;
  readonly base_model_name_or_path: string | null;
}

/** Any that is not null, false or empty changes what is computed. */
const REFUSED: Readonly<Record<string, string>> = {
  use_dora: "DoRA: weights are normalized after the sum",
  use_qalora: "QALoRA: inputs are pooled",
  alora_invocation_tokens: "aLoRA: active from certain tokens on",
  trainable_token_indices: "single rows of the embedding",
  layer_replication: "layers that are used several times",
  target_parameters: "parameters that are not a module's weight",
  megatron_config: "modules of Megatron",
  use_bdlora: "block-diagonal factors",
  arrow_config: "routing between adapters",
  kasa_config: "KaSA: singular values of the base",
  velora_config: "VeLoRA",
  monteclora_config: "MonteCLoRA",
};

/** With these the base's weights were changed at the start; "eva", "gaussian" and "orthogonal" leave them alone. */
const CHANGED_BASE = /^(?:pissa|olora|corda|loftq|lora_ga|mica)/i;

/** Above any rank in use; bounds what is made of a hostile file. */
const MAX_RANK = 2 ** 16;

/**
 * @param where for errors: `adapter_config.json`
 * @throws PronkError "unsupported" naming the field; "bad_format".
 */
export function parseLoraConfig(
  data: Readonly<Record<string, unknown>>,
  where: string,
): LoraConfig {
  const bad = (field: string, why: string): PronkError =>
    new PronkError("bad_format", `${where}: ${field}: ${why}`);
  const unsupported = (field: string, why: string): PronkError =>
    new PronkError("unsupported", `${where}: ${field}: ${why}`);

  const type = data.peft_type;
  if (type !== "LORA") throw unsupported("peft_type", `${shown(type)}; runs: "LORA"`);
  for (const [field, what] of Object.entries(REFUSED)) {
    const value = data[field];
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "object" && Object.keys(value).length === 0) continue;
    throw unsupported(field, `${what}; not supported`);
  }
  const start = data.init_lora_weights ?? true;
  if (typeof start === "string" && CHANGED_BASE.test(start)) {
    const advice = "save it with path_initial_model_for_weight_conversion";
    throw unsupported("init_lora_weights", `${shown(start)} changes the base's weights; ${advice}`);
  }
  const flag = (field: string): boolean => {
    const value = data[field] ?? false;
    if (typeof value !== "boolean") throw bad(field, `${shown(value)} is not a boolean`);
    return value;
  };
  const text = (field: string): string | null => {
    const value = data[field] ?? null;
    if (value !== null && typeof value !== "string")
      throw bad(field, `${shown(value)} is not a string`);
    return value;
  };
  const rank = (field: string, value: unknown): number => {
    if (typeof value === "number" && Number.isInteger(value) && value > 0 && value <= MAX_RANK)
      return value;
    throw bad(field, `${shown(value)} is not a rank`);
  };
  const finite = (field: string, value: unknown): number => {
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw bad(field, `${shown(value)} is not a number`);
  };
  const patterns = (
    field: string,
    read: (field: string, value: unknown) => number,
  ): ReadonlyMap<string, number> => {
    const value = data[field] ?? {};
    if (typeof value !== "object" || Array.isArray(value)) throw bad(field, "is not an object");
    const entries = Object.entries(value as object);
    return new Map(
      entries.map(([key, found]) => [key, read(`${field}: ${printable(key)}`, found)]),
    );
  };
  const names = (field: string): readonly string[] => {
    const value = data[field] ?? [];
    const list = typeof value === "string" ? [value] : value;
    if (!Array.isArray(list) || !list.every((item) => typeof item === "string")) {
      throw bad(field, `${shown(value)} is not a list of names`);
    }
    return list;
  };
  const modules = (field: string): readonly string[] | string | null => {
    const value = data[field] ?? null;
    return value === null || typeof value === "string" ? value : names(field);
  };
  const layers = data.layers_to_transform ?? null;
  const layerList = typeof layers === "number" ? [layers] : layers;
  if (layerList !== null && !(Array.isArray(layerList) && layerList.every(Number.isInteger))) {
    throw bad("layers_to_transform", `${shown(layers)} is not a list of layers`);
  }
  const bias = data.bias ?? "none";
  if (bias !== "none" && bias !== "all" && bias !== "lora_only") {
    throw bad("bias", `${shown(bias)} is none of "none", "all", "lora_only"`);
  }
  if (flag("ensure_weight_tying")) {
    throw unsupported("ensure_weight_tying", "factors that embedding and head share");
  }
  return {
    r: rank("r", data.r ?? 8),
    lora_alpha: finite("lora_alpha", data.lora_alpha ?? 8),
    use_rslora: flag("use_rslora"),
    rank_pattern: patterns("rank_pattern", rank),
    alpha_pattern: patterns("alpha_pattern", finite),
    target_modules: modules("target_modules"),
    exclude_modules: modules("exclude_modules"),
    layers_to_transform: layerList?.length ? layerList : null,
    layers_pattern: names("layers_pattern").filter(Boolean),
    modules_to_save: names("modules_to_save"),
    bias,
    lora_bias: flag("lora_bias"),
    task_type: text("task_type"),
    base_model_name_or_path: text("base_model_name_or_path"),
  };
}
