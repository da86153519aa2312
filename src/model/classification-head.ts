/** The head of a model that gives texts scores instead of tokens. */
import type { HeadTensors } from "./tensors.ts";

const ARCHITECTURE = "LlamaForSequenceClassification";
const WEIGHT = "score.weight";

/**
 * What a LlamaForSequenceClassification ends with; undefined for every other model.
 *
 * @param shapeOf of a tensor, where there is one of that name
 */
export function classificationHead(
  config: Readonly<Record<string, unknown>>,
  shapeOf: (name: string) => readonly number[] | undefined,
): HeadTensors | undefined {
  const { architectures } = config;
  if (!Array.isArray(architectures) || architectures[0] !== ARCHITECTURE) return undefined;
  const [rows] = shapeOf(WEIGHT) ?? [];
  return rows === undefined ? undefined : { weight: WEIGHT, rows };
}
