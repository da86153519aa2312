// Golden logits of the tiny GGUF models in tests/goldens/gguf, one file for all.
//   node scripts/goldens/gguf-logits.mjs GOLDENS_FOLDER
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const from = process.argv[2];
if (!from) throw new Error("usage: node scripts/goldens/gguf-logits.mjs GOLDENS_FOLDER");
const to = new URL("../../tests/goldens/gguf/", import.meta.url);

const { cases } = JSON.parse(readFileSync(join(from, "gguf/golden.json"), "utf8"));
const tensors = readFileSync(join(from, "gguf/golden.safetensors"));
const headerBytes = Number(tensors.readBigUInt64LE(0));
const header = JSON.parse(tensors.subarray(8, 8 + headerBytes).toString());

const kept = cases
  .filter(({ inputs }) => existsSync(new URL(inputs.file, to)))
  .map(({ name, inputs, outputs }) => {
    const [start, end] = header[outputs.logits.$t].data_offsets;
    const bytes = tensors.subarray(8 + headerBytes + start, 8 + headerBytes + end);
    const logits = new Float32Array(bytes.length / 4);
    for (let i = 0; i < logits.length; i++) logits[i] = bytes.readFloatLE(4 * i);
    const vocab = outputs.logits.shape[2];
    return {
      name,
      file: inputs.file,
      input_ids: inputs.input_ids[0],
      // Of the last positions of the input.
      logits: Array.from({ length: outputs.logits.shape[1] }, (_, i) =>
        Array.from(logits.subarray(i * vocab, (i + 1) * vocab), (x) => Number(x.toPrecision(8))),
      ),
      greedy_prompt_len: outputs.greedy_prompt_len,
      greedy: outputs.greedy,
    };
  });
writeFileSync(new URL("logits.json", to), `${JSON.stringify(kept)}\n`);
