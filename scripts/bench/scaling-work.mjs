// What a model of some shape has to do for a token: counted, not measured.
import { DECODE_PROMPT_TOKENS } from "../../dist/src/cli/bench-workload.js";
import { planImage } from "../../dist/src/pack/image-plan.js";

/** The work of `pronk bench`; less of it for what would take minutes. */
const PREFILL_TOKENS = 512;
const DECODE_STEPS = 128;

/** From these many parameters on: a quarter of the steps, half the prompt. */
const LARGE = 2e9;
const MEDIUM = 1e9;

/** Of the default KV cache: an int16 an element, an f32 scale a head vector. */
const KV_ELEMENT_BYTES = 2;
const KV_SCALE_BYTES = 4;

/**
 * @param plan of planSynthetic().
 * @returns `parameters`; `working_set`, the bytes of weights; `layer_form`; `prefill_tokens`, `decode_steps`;
 *   `decode_bytes`, read for a token; `prefill_operations`, two for each product of a weight, and of a query
 *   with a key or of a probability with a value.
 */
export function workOf({ config, entries, parameters }) {
  const { weightBytes, tensors } = planImage(entries);
  const prefill_tokens = parameters < LARGE ? PREFILL_TOKENS : PREFILL_TOKENS / 2;
  const decode_steps = DECODE_STEPS / (parameters < MEDIUM ? 1 : parameters < LARGE ? 2 : 4);

  const matrices = tensors.filter(({ form }) => form !== "vector");
  const inLayers = matrices.filter(({ name }) => name.includes(".layers."));
  const weights = (list) => list.reduce((n, { shape: [rows, cols] }) => n + rows * cols, 0);
  const { num_hidden_layers: layers, num_attention_heads: heads, head_dim } = config;
  const keyVectors = layers * config.num_key_value_heads;
  // Of a position in the middle of what is read; the head runs once a prompt.
  const attention = 4 * layers * heads * head_dim * ((prefill_tokens + 1) / 2);
  const head = (2 * config.vocab_size * config.hidden_size) / prefill_tokens;
  const positions = DECODE_PROMPT_TOKENS + decode_steps / 2;
  const kv = 2 * keyVectors * (head_dim * KV_ELEMENT_BYTES + KV_SCALE_BYTES) * positions;
  return {
    parameters,
    working_set: weightBytes,
    layer_form: inLayers[0].form,
    prefill_tokens,
    decode_steps,
    // Heads are tied: the embedding is read as the head.
    decode_bytes: Math.round(weightBytes + kv),
    prefill_operations: Math.round(2 * weights(inLayers) + attention + head),
  };
}
