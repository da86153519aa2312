/**
 * The tasks of `pipeline`, by transformers' names; those that a Llama has no model for are refused by name.
 *
 * Source: pipelines/__init__.py in transformers 4.57.
 */
import { PronkError } from "../../errors.ts";
import type { HeadKind } from "../modeling/heads.ts";

export type PipelineTask =
  | "text-generation"
  | "text-classification"
  | "token-classification"
  | "question-answering"
  | "feature-extraction"
  | "zero-shot-classification";

export type PipelineTaskName = PipelineTask | "sentiment-analysis" | "ner";

const ALIASES: Readonly<Record<string, PipelineTask>> = {
  "sentiment-analysis": "text-classification",
  ner: "token-classification",
};

/** What each task's model may end with. */
export const TASK_HEADS: Readonly<Record<PipelineTask, readonly HeadKind[]>> = {
  "text-generation": ["causal-lm"],
  "text-classification": ["sequence-classification"],
  "token-classification": ["token-classification"],
  "question-answering": ["question-answering"],
  // Whatever gives something for each token.
  "feature-extraction": ["none", "causal-lm", "token-classification"],
  "zero-shot-classification": ["sequence-classification"],
};

/** transformers' other tasks. */
const OTHERS = [
  "audio-classification",
  "automatic-speech-recognition",
  "depth-estimation",
  "document-question-answering",
  "fill-mask",
  "image-classification",
  "image-feature-extraction",
  "image-segmentation",
  "image-text-to-text",
  "image-to-image",
  "image-to-text",
  "keypoint-matching",
  "mask-generation",
  "object-detection",
  "summarization",
  "table-question-answering",
  "text-to-audio",
  "text-to-speech",
  "text2text-generation",
  "video-classification",
  "visual-question-answering",
  "vqa",
  "zero-shot-audio-classification",
  "zero-shot-image-classification",
  "zero-shot-object-detection",
];

/**
 * @throws PronkError "unsupported" for a task of other models, "bad_request" for what is none; both list the tasks.
 */
export function taskOf(name: string): PipelineTask {
  const task = Object.hasOwn(ALIASES, name) ? ALIASES[name] : name;
  if (Object.hasOwn(TASK_HEADS, task)) return task as PipelineTask;
  const list = [...Object.keys(TASK_HEADS), ...Object.keys(ALIASES)].sort().join(", ");
  const isOther = OTHERS.includes(name) || name.startsWith("translation");
  const what = isOther ? `${name}: no task of a Llama` : `Unknown task ${JSON.stringify(name)}`;
  throw new PronkError(
    isOther ? "unsupported" : "bad_request",
    `pipeline: ${what}, available tasks are ${list}`,
    { param: "task" },
  );
}
