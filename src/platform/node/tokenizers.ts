/** The tokenizers of Node that load by name, in a module of their own: who only tokenizes bundles no model. */
import type { TokenizerClasses } from "../../llama/auto/tokenizer-classes.ts";
import { hostTokenizers } from "../host/models.ts";
import { nodeHost } from "./host.ts";

const classes: TokenizerClasses = hostTokenizers(nodeHost);

export const AutoTokenizer: TokenizerClasses["AutoTokenizer"] = classes.AutoTokenizer;

export const LlamaTokenizer: TokenizerClasses["LlamaTokenizer"] = classes.LlamaTokenizer;
export type LlamaTokenizer = InstanceType<TokenizerClasses["LlamaTokenizer"]>;
export const LlamaTokenizerFast: TokenizerClasses["LlamaTokenizerFast"] =
  classes.LlamaTokenizerFast;
export type LlamaTokenizerFast = InstanceType<TokenizerClasses["LlamaTokenizerFast"]>;
export const AttentionMaskVisualizer: TokenizerClasses["AttentionMaskVisualizer"] =
  classes.AttentionMaskVisualizer;
export type AttentionMaskVisualizer = InstanceType<TokenizerClasses["AttentionMaskVisualizer"]>;
