/**
 * A plan's tensors are checked once, here, before memory is taken: kernels read as many weights as the plan's steps say, so
 * each has to be there, in a form that its step reads, and of the step's sizes.
 */
import { PronkError } from "../errors.ts";
import type { Plan, Step } from "../model/plan.ts";
import type { PackedTensor } from "../pack/manifest.ts";

/**
 * @param embeddings rows of the embedding; default: the whole vocabulary
 * @throws PronkError "bad_format" naming the tensor, what it has and what the plan reads.
 */
export function checkTensors(
  plan: Plan,
  tensors: readonly PackedTensor[],
  embeddings: number = plan.config.vocab_size,
): void {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const check = (name: string, ...expected: readonly number[]): void => {
    const found = byName.get(name);
    if (!found) throw new PronkError("bad_format", `tensor ${name} is missing`);
    const { form, shape } = found;
    const isVector = form === "vector";
    if (isVector === (expected.length === 1) && String(shape) === String(expected)) return;
    const kind = (vector: boolean, sizes: readonly number[]): string =>
      `a ${vector ? "vector" : "matrix"} of [${sizes}]`;
    throw new PronkError(
      "bad_format",
      `tensor ${name}: ${kind(isVector, shape)}, the model has ${kind(expected.length === 1, expected)}`,
    );
  };
  const checkStep = (step: Step): void => {
    switch (step.op) {
      case "embed":
        check(step.weight, embeddings, plan.buffers[step.out]);
        break;
      case "rmsNorm":
        check(step.weight, plan.buffers[step.in]);
        break;
      case "matmul":
        for (const { weight, bias, rows } of step.parts) {
          check(weight, rows, step.cols);
          if (bias !== undefined) check(bias, rows);
        }
    }
  };
  for (const step of plan.steps) checkStep(step);
  for (const step of plan.head) checkStep(step);
}
