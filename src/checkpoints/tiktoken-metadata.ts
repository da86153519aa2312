/**
 * Meta's tokenizer.model of Llama 3, tiktoken ranks, as GGUF metadata: every pair that joins to a token
 * is a merge, by the rank of what it makes and then of its parts.
 *
 * Source: TikTokenConverter in transformers 4.57, convert_slow_tokenizer.py.
 */
import { PronkError } from "../errors.ts";
import type { GgufValue } from "../formats/gguf/write-gguf.ts";
import { packStrings } from "../formats/packed-strings.ts";
import { spell } from "../tokenizers/byte-level.ts";
import { LLAMA3_SPECIAL, LLAMA3_TOKENS } from "../tokenizers/llama3-special-tokens.ts";
import { compileTiktoken } from "../tokenizers/tiktoken-ranks.ts";
import { LITERAL, MAX_VOCAB, TokenType } from "../tokenizers/vocabulary.ts";

/**
 * Tokens behind Llama 3's special ones, up to `vocab`, are unused.
 *
 * @throws PronkError "bad_format" naming the line; when there are more tokens than `vocab`.
 */
export function tiktokenMetadata(
  file: Uint8Array,
  vocab: number,
  where: string,
): Map<string, GgufValue> {
  const { bytes, offsets, types, left, right, merged } = compileTiktoken(
    file,
    LLAMA3_SPECIAL,
    "llama-3",
    where,
  );
  const count = types.length;
  const base = count - LLAMA3_SPECIAL.length;
  if (count > vocab || vocab > MAX_VOCAB)
    throw new PronkError("bad_format", `${where}: ${count} tokens of ${vocab}`);
  const spelled = Array.from({ length: base }, (_, id) =>
    spell(bytes.subarray(offsets[id], offsets[id + 1])),
  );
  const spare = Array.from({ length: vocab - count }, (_, i) => `[PAD${count + i}]`);
  const tokenTypes = new Int32Array(vocab).fill(TokenType.unused);
  types.forEach((type, id) => {
    tokenTypes[id] = type & ~LITERAL;
  });
  // Numbers of rank and parts are below 2^20 each: beyond one double, so they are compared in turn.
  const order = Uint32Array.from(left, (_, k) => k).sort(
    (a, b) => merged[a]! - merged[b]! || left[a]! - left[b]! || right[a]! - right[b]!,
  );
  const merges = Array.from(order, (k) => `${spelled[left[k]!]} ${spelled[right[k]!]}`);
  const idOf = (token: string): GgufValue => ({
    type: "u32",
    value: base + LLAMA3_SPECIAL.indexOf(token),
  });
  const text = (value: string): GgufValue => ({ type: "string", value });
  return new Map<string, GgufValue>([
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.ggml.pre", text("llama-bpe")],
    [
      "tokenizer.ggml.tokens",
      { type: "strings", value: packStrings([...spelled, ...LLAMA3_SPECIAL, ...spare]) },
    ],
    ["tokenizer.ggml.token_type", { type: "i32s", value: tokenTypes }],
    ["tokenizer.ggml.merges", { type: "strings", value: packStrings(merges) }],
    ["tokenizer.ggml.bos_token_id", idOf(LLAMA3_TOKENS.bos)],
    ["tokenizer.ggml.eos_token_id", idOf(LLAMA3_TOKENS.end)],
    ["tokenizer.ggml.eot_token_id", idOf(LLAMA3_TOKENS.eot)],
    ["tokenizer.ggml.eom_token_id", idOf(LLAMA3_TOKENS.eom)],
    ["tokenizer.ggml.padding_token_id", idOf(LLAMA3_TOKENS.pad)],
    ["tokenizer.ggml.add_bos_token", { type: "bool", value: true }],
    ["tokenizer.ggml.add_eos_token", { type: "bool", value: false }],
  ]);
}
