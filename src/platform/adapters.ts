/** LoRA adapters, of every entry. */
export type { LoraAdapter, LoraModule } from "../adapters/lora-adapter.ts";
export type { LoraConfig } from "../adapters/lora-config.ts";
export { mergeLora, type WeightedAdapter } from "../adapters/merge-lora.ts";
export { openLoraAdapter } from "../adapters/open-lora-adapter.ts";
export type { AdapterChoice, WeightedAdapterOptions } from "../llama/modeling/model-adapters.ts";
export type { LoadAdapterOptions } from "../llama/modeling/open-adapter.ts";
export { PeftModel } from "../llama/modeling/peft-model.ts";
