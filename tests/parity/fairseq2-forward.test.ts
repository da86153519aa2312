/** fairseq2 0.8.1's models over the golden weights: logits, rows of different lengths, summed losses, one token at a time. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { openCheckpointFolder } from "../../src/checkpoints/open-folder.ts";
import { readSafetensors } from "../../src/formats/safetensors/read-safetensors.ts";
import type { KvCache } from "../../src/llama/modeling/kv-cache.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { BACKENDS, expectClose, models } from "../support/llama-models.ts";

interface Golden {
  readonly name: string;
  readonly kind: string;
  readonly inputs: { readonly input_ids: number[][]; readonly seq_lens?: number[] };
  readonly outputs: {
    readonly logits: { readonly $t: string; readonly shape: number[] };
    readonly logits_seq_lens_row1?: { readonly $t: string };
    readonly loss_sum?: number;
  };
}

const goldens = new URL("../goldens/", import.meta.url);
const read = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`fairseq2/${name}`, goldens)));
const cases = (JSON.parse(new TextDecoder().decode(read("forward.json"))).cases as Golden[]).filter(
  ({ kind }) => kind === "fairseq2_forward",
);

const bytes = read("forward.safetensors");
const tensors = await readSafetensors(memorySource(bytes, "forward.safetensors"));
function tensor({ $t }: { readonly $t: string }): number[] {
  const { start, bytes: size } = tensors.get($t)!;
  return [...new Float32Array(bytes.slice(start, start + size).buffer)];
}

/** Where each case's weights are, in every form that fairseq2 would take them from. */
const FOLDERS: Readonly<Record<string, readonly string[]>> = {
  from_hg: ["models/gqa", "checkpoints/fairseq2"],
  from_meta: ["meta/mp1", "meta/mp2"],
  rope_llama3: ["models/rope_llama3"],
  tied: ["models/tied"],
  hub_load_custom_model_mp2: ["meta/mp2"],
};
const runs = cases.flatMap((golden) =>
  FOLDERS[golden.name].map((folder): [string, string, Golden] => [golden.name, folder, golden]),
);

test("every case of fairseq2/forward.json is compared, here or with beam search", () => {
  expect(cases.map(({ name }) => name)).toEqual(Object.keys(FOLDERS));
});

function open(folder: string): Promise<Checkpoint> {
  return openCheckpointFolder(directoryFolder(nodeHost, new URL(folder, goldens).pathname));
}

describe.each(BACKENDS)("on $backend", (options) => {
  test.each(runs)("%s, from %s", async (_, folder, { inputs, outputs }) => {
    const checkpoint = await open(folder);
    const model = await models.LlamaForCausalLM.fromPretrained({ checkpoint }, options);
    const { input_ids, seq_lens } = inputs;
    const { logits } = await model.forward({ input_ids });
    expect(logits.dims).toEqual(outputs.logits.shape);
    expectClose(logits.data, tensor(outputs.logits));

    const [batch, length, vocab] = logits.dims;
    let past: KvCache | undefined;
    for (let column = 0; column < length; column++) {
      const step = await model.forward({
        input_ids: input_ids.map((row) => [row[column]]),
        ...(past && { past_key_values: past }),
      });
      past = step.past_key_values;
      for (let b = 0; b < batch; b++) {
        const at = (b * length + column) * vocab;
        const found = step.logits.data.subarray(b * vocab, (b + 1) * vocab);
        expectClose(found, [...logits.data.subarray(at, at + vocab)]);
      }
    }

    if (outputs.loss_sum !== undefined) {
      const { loss } = await model.forward({ input_ids, labels: input_ids, num_items_in_batch: 1 });
      expectClose([loss as number], [outputs.loss_sum]);
    }
    if (seq_lens && outputs.logits_seq_lens_row1) {
      const attention_mask = input_ids.map((row, b) =>
        row.map((_, i) => (i < seq_lens[b] ? 1 : 0)),
      );
      const padded = await model.forward({ input_ids, attention_mask });
      const row = padded.logits.data.subarray(length * vocab, (length + seq_lens[1]) * vocab);
      expectClose(row, tensor(outputs.logits_seq_lens_row1));
    }
    model.dispose();
  });
});
