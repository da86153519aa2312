/** A Llama of a few thousand weights whose tokens differ, packed. */
import { type LlamaConfig, parseLlamaConfig } from "../../src/model/config.ts";
import { llamaTensors } from "../../src/model/tensors.ts";
import type { MatrixForm } from "../../src/pack/forms.ts";
import type { PackEntry } from "../../src/pack/image-plan.ts";
import { noise, type TestTensor } from "../conformance/op-plans.ts";
import { entriesOf } from "../conformance/runners.ts";

export interface SmallLlama {
  readonly config: LlamaConfig;
  readonly entries: readonly PackEntry[];
}

const FIELDS = {
  vocab_size: 100,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  max_position_embeddings: 2048,
  rope_theta: 10000,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
};

/** @param fields of config.json that differ */
export function smallLlama(
  form: MatrixForm | ((name: string) => MatrixForm),
  fields: Readonly<Record<string, unknown>> = {},
): SmallLlama {
  const config = parseLlamaConfig({ ...FIELDS, ...fields }, "small");
  const tensors = llamaTensors(config).map(({ name, shape }, i): TestTensor => {
    const count = shape.reduce((product, length) => product * length, 1);
    const isNorm = name.endsWith("norm.weight");
    const scale = shape.length === 1 ? 0.3 : 3 / Math.sqrt(shape[1]);
    return { name, shape, values: noise(count, i, scale).map((v) => (isNorm ? 1 + v : v)) };
  });
  const formOf = typeof form === "string" ? () => form : form;
  return { config, entries: entriesOf(tensors, formOf) };
}
