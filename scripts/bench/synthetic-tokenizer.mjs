// A byte-level BPE vocabulary of any size, as GGUF metadata: every token but the bytes and two special ones is
// the merge of two earlier ones. Seeded: the same tokens each time.
import { BYTE_TO_CODE } from "../../dist/src/tokenizers/byte-level.js";

const SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>"];

/** As long as words are. */
const MAX_SYMBOLS = 12;

/** The types of GGUF: 1 is text, 3 control. */
const [NORMAL, CONTROL] = [1, 3];

/**
 * @returns the `tokenizer.ggml.*` metadata, and the ids of both special tokens. There are two thirds as many
 *   merges as Llama 3 has for its vocabulary, or fewer.
 */
export function syntheticTokenizer(vocab, pre) {
  const tokens = Array.from(BYTE_TO_CODE, (code) => String.fromCharCode(code));
  const known = new Set(tokens);
  const merges = [];
  let state = vocab >>> 0;
  const below = (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  while (tokens.length < vocab - SPECIAL.length) {
    // Words are made of few letters, so that most pairs of tokens are new and short.
    const left = tokens[below(tokens.length)];
    const right = tokens[0x61 + below(26)];
    const whole = left + right;
    if (whole.length > MAX_SYMBOLS || known.has(whole)) continue;
    known.add(whole);
    merges.push(`${left} ${right}`);
    tokens.push(whole);
  }
  tokens.push(...SPECIAL);
  const types = new Int32Array(vocab).fill(NORMAL).fill(CONTROL, vocab - SPECIAL.length);
  const [bos, eos] = [vocab - 2, vocab - 1];
  return {
    bos,
    eos,
    metadata: new Map(
      Object.entries({
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": packed(tokens),
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": packed(merges),
        "tokenizer.ggml.bos_token_id": bos,
        "tokenizer.ggml.eos_token_id": eos,
      }),
    ),
  };
}

/** As a GGUF reader gives strings: all bytes, and where each begins. */
function packed(strings) {
  const offsets = new Uint32Array(strings.length + 1);
  const encoder = new TextEncoder();
  const parts = strings.map((text, i) => {
    const bytes = encoder.encode(text);
    offsets[i + 1] = offsets[i] + bytes.length;
    return bytes;
  });
  const bytes = new Uint8Array(offsets[strings.length]);
  for (const [i, part] of parts.entries()) bytes.set(part, offsets[i]);
  return { bytes, offsets, length: strings.length };
}
