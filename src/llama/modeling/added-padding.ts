/** The padding token's row, where the token was added to the vocabulary: zero, as the Llama 2 page has it. */
import type { Checkpoint } from "../../checkpoints/checkpoint.ts";
import { parseJson } from "../../checkpoints/companion-files.ts";
import type { FloatTensor } from "../../formats/float-tensor.ts";
import { rowBytesOf } from "../../formats/stored-tensor.ts";

/** What transformers calls the tokens that came after a vocabulary: `{"<pad>": 32000}`. */
const ADDED_TOKENS_NAME = "added_tokens.json";

/** With a zero row where added_tokens.json lists config.pad_token_id. @throws PronkError "bad_format" */
export async function zeroAddedPadding(
  checkpoint: Checkpoint,
  pad: number | null,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const file = pad === null ? undefined : checkpoint.files?.get(ADDED_TOKENS_NAME);
  if (pad === null || !file) return checkpoint;
  const added = parseJson(await file.read(signal), `${checkpoint.name}: ${ADDED_TOKENS_NAME}`);
  if (!Object.values(added).includes(pad)) return checkpoint;
  const tensors = new Map(
    [...checkpoint.tensors].map(([name, tensor]) => [
      name,
      name.endsWith("embed_tokens.weight") ? withZeroRow(tensor, pad) : tensor,
    ]),
  );
  return { ...checkpoint, tensors };
}

function withZeroRow(tensor: FloatTensor, row: number): FloatTensor {
  const rowBytes = rowBytesOf(tensor.type, tensor.shape);
  return {
    ...tensor,
    async readRows(first, count, into, signal) {
      await tensor.readRows(first, count, into, signal);
      const at = (row - first) * rowBytes;
      if (row >= first && row < first + count) into.fill(0, at, at + rowBytes);
    },
  };
}
