/** Which tensors of a checkpoint go into the pack, and in which form. */
import { PronkError } from "../errors.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import type { TensorInfo } from "../formats/model-file.ts";
import { rowBytesOf, tensorBytes } from "../formats/stored-tensor.ts";
import type { LlamaConfig } from "../model/config.ts";
import { type HeadTensors, llamaTensors } from "../model/tensors.ts";
import { formFor, type QuantizationOptions, sharedScales } from "../pack/form-choice.ts";
import type { PackEntry } from "../pack/image-plan.ts";
import type { Checkpoint } from "./checkpoint.ts";

/**
 * Lists the pack's tensors in image order.
 *
 * @throws PronkError "bad_format" when a tensor is missing or has another shape than the
 *   configuration says.
 */
export function checkpointEntries(
  checkpoint: Checkpoint,
  config: LlamaConfig,
  options: QuantizationOptions,
  head?: HeadTensors | null,
): PackEntry[] {
  return llamaTensors(config, head).map(({ name, shape, role }) => {
    const tensor = findTensor(checkpoint, name, shape);
    const form =
      role === "vector" ? "vector" : formFor(tensor.type, shape[1], { ...options, role });
    const scales = sharedScales(options.quantization, form);
    return { name, tensor: asTensorInfo(tensor, checkpoint.name), form, ...scales };
  });
}

/** In front of the model's own names: of a bare LlamaModel nothing, of the question answering head another. */
const PREFIXES = ["model.", "", "transformer."];

/** @throws PronkError "bad_format" when it is missing or has another shape. */
export function findTensor(
  { name: where, tensors }: Checkpoint,
  name: string,
  shape: readonly number[],
): FloatTensor {
  const found = PREFIXES.map((prefix) => tensors.get(name.replace(/^model\./, prefix))).find(
    (tensor) => tensor !== undefined,
  );
  if (!found) throw new PronkError("bad_format", `${where}: tensor ${name} is missing`);
  if (found.shape.length !== shape.length || found.shape.some((n, i) => n !== shape[i])) {
    throw new PronkError(
      "bad_format",
      `${where}: tensor ${name}: shape [${found.shape}], expected [${shape}]`,
    );
  }
  return found;
}

/** As the packer reads tensors: a range of bytes. It asks for whole rows only. */
export function asTensorInfo(tensor: FloatTensor, where: string): TensorInfo {
  const rowBytes = rowBytesOf(tensor.type, tensor.shape);
  const bytes = tensorBytes(tensor);
  const { name, type, shape } = tensor;
  return {
    name,
    type,
    shape,
    start: 0,
    bytes,
    source: {
      name: where,
      size: bytes,
      async readInto(destination, start, signal, onProgress) {
        const first = start / rowBytes;
        const count = destination.length / rowBytes;
        if (!Number.isInteger(first) || !Number.isInteger(count)) {
          throw new Error(`${where}: tensor ${name}: bytes from ${start} on are not whole rows`);
        }
        await tensor.readRows(first, count, destination, signal);
        onProgress?.(destination.length);
      },
    },
  };
}
