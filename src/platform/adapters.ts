/** LoRA adapters, of every entry. */
export type { LoraAdapter, LoraModule } from "../adapters/lora-adapter.ts";
export type { LoraConfig } from "../adapters/lora-config.ts";
export { mergeLora, type WeightedAdapter } from "../adapters/merge-lora.ts";
export { openLoraAdapter } from "../adapters/open-lora-adapter.ts";
