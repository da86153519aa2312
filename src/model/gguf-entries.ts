/** Which tensors of a GGUF file go into the pack, and in which form. */
import { PronkError } from "../errors.ts";
import type { ModelFile } from "../formats/model-file.ts";
import { formFor, type QuantizationOptions, sharedScales } from "../pack/form-choice.ts";
import type { PackEntry } from "../pack/image-plan.ts";
import type { LlamaConfig } from "./config.ts";
import { llamaTensors, rotaryRowOrder } from "./tensors.ts";

/**
 * Lists the pack's tensors in image order.
 *
 * @throws PronkError "bad_format" when a tensor is missing or has another shape than the
 *   configuration says.
 */
export function ggufEntries(
  file: ModelFile,
  config: LlamaConfig,
  options: QuantizationOptions,
): PackEntry[] {
  return llamaTensors(config).map(({ name, gguf, shape, role, rotaryHeads }) => {
    const tensor = file.tensors.get(gguf);
    if (!tensor) throw new PronkError("bad_format", `${file.name}: tensor ${gguf} is missing`);
    if (tensor.shape.length !== shape.length || tensor.shape.some((n, i) => n !== shape[i])) {
      throw new PronkError(
        "bad_format",
        `${file.name}: tensor ${gguf}: shape [${tensor.shape}], expected [${shape}]`,
      );
    }
    const form =
      role === "vector" ? "vector" : formFor(tensor.type, shape[1], { ...options, role });
    return {
      name,
      tensor,
      form,
      ...sharedScales(options.quantization, form),
      ...(rotaryHeads > 0 && { rowOrder: rotaryRowOrder(rotaryHeads, config.head_dim) }),
    };
  });
}
