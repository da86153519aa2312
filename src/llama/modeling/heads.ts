/** What ends each of the models: which tensors, and how many outputs. */
import type { HeadTensors } from "../../model/tensors.ts";

export type HeadKind =
  | "none"
  | "causal-lm"
  | "sequence-classification"
  | "token-classification"
  | "question-answering";

/** As config.json calls the models. */
export const ARCHITECTURES: Readonly<Record<HeadKind, string>> = {
  none: "LlamaModel",
  "causal-lm": "LlamaForCausalLM",
  "sequence-classification": "LlamaForSequenceClassification",
  "token-classification": "LlamaForTokenClassification",
  "question-answering": "LlamaForQuestionAnswering",
};

/** Start and end of an answer. */
const ANSWER_ENDS = 2;

/**
 * Undefined: the language model's own; null: none.
 *
 * @param labels of the configuration
 */
export function headTensors(kind: HeadKind, labels: number): HeadTensors | null | undefined {
  switch (kind) {
    case "none":
      return null;
    case "causal-lm":
      return undefined;
    case "sequence-classification":
      return { weight: "score.weight", rows: labels };
    case "token-classification":
      return { weight: "score.weight", bias: "score.bias", rows: labels };
    case "question-answering":
      return { weight: "qa_outputs.weight", bias: "qa_outputs.bias", rows: ANSWER_ENDS };
  }
}
