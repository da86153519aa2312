/** The special tokens of Llama 3, which its tiktoken file does not have: 256 behind the ranks. */

export const LLAMA3_TOKENS = {
  bos: "<|begin_of_text|>",
  /** Ends a text; ends turns is `eot`. */
  end: "<|end_of_text|>",
  eot: "<|eot_id|>",
  /** Ends a message that a tool answers. */
  eom: "<|eom_id|>",
  pad: "<|finetune_right_pad_id|>",
  headerStart: "<|start_header_id|>",
  headerEnd: "<|end_header_id|>",
} as const;

/** In the order of their ids. Source: meta-llama/llama-models, llama3/tokenizer.py. */
export const LLAMA3_SPECIAL: readonly string[] = [
  LLAMA3_TOKENS.bos,
  LLAMA3_TOKENS.end,
  "<|reserved_special_token_0|>",
  "<|reserved_special_token_1|>",
  LLAMA3_TOKENS.pad,
  "<|step_id|>",
  LLAMA3_TOKENS.headerStart,
  LLAMA3_TOKENS.headerEnd,
  LLAMA3_TOKENS.eom,
  LLAMA3_TOKENS.eot,
  "<|python_tag|>",
  ...Array.from({ length: 245 }, (_, i) => `<|reserved_special_token_${i + 2}|>`),
];
