/** Whether an adapter belongs to a base: its modules are there, and its tensors have the sizes of theirs. */
import { PronkError } from "../errors.ts";
import { printable } from "../formats/printable.ts";
import type { LlamaConfig } from "../model/config.ts";
import { EMBEDDING, type HeadTensors, LM_HEAD, llamaTensors } from "../model/tensors.ts";
import type { LoraAdapter } from "./lora-adapter.ts";

/** The module of the token embedding, whose factors are read by columns. */
export const EMBEDDING_MODULE = "model.embed_tokens";

/**
 * @param head of the base, as `llamaTensors` has it
 * @throws PronkError "bad_request" when it is another base's: naming the tensor, what it has and what the base has.
 */
export function fitAdapter(
  adapter: LoraAdapter,
  config: LlamaConfig,
  head?: HeadTensors | null,
): void {
  const shapes = new Map(llamaTensors(config, head).map(({ name, shape }) => [name, shape]));
  if (head === undefined && config.tie_word_embeddings) {
    shapes.set(LM_HEAD, shapes.get(EMBEDDING)!);
  }
  const refuse = (what: string, why: string): PronkError =>
    new PronkError("bad_request", `${adapter.name}: ${printable(what)}: ${why}`, {
      param: "adapter",
    });
  for (const [module, { a, b }] of adapter.modules) {
    const shape = shapes.get(`${module}.weight`);
    if (shape?.length !== 2) throw refuse(module, "the base has no such matrix");
    const [rows, cols] = module === EMBEDDING_MODULE ? [shape[1], shape[0]] : shape;
    if (a.shape[1] === cols && b.shape[0] === rows) continue;
    const found = `lora_A has ${a.shape[1]} inputs and lora_B ${b.shape[0]} outputs`;
    throw refuse(module, `${found}, the base ${cols} and ${rows}`);
  }
  for (const [name, tensor] of [...adapter.replaced, ...adapter.copies]) {
    const shape = shapes.get(name);
    if (!shape) throw refuse(name, "the base has no such tensor");
    if (String(shape) === String(tensor.shape)) continue;
    const isResized = name === EMBEDDING || name === LM_HEAD;
    const why = isResized ? "; resize the base's vocabulary first" : "";
    throw refuse(name, `shape [${tensor.shape}], the base has [${shape}]${why}`);
  }
  for (const [name, shape] of shapes) {
    const module = name.replace(/\.weight$/, "");
    const isLinear = name.endsWith("_proj.weight") && shape.length === 2;
    if (!isLinear || adapter.config.target_modules === null || adapter.modules.has(module))
      continue;
    if (adapter.targets(module)) throw refuse(module, "lora_A and lora_B are missing");
  }
}
