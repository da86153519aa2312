// Writes a synthetic model as a pack, through pronk's own packer: what `pronk pack` would make of a Q4_1 file.
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { KERNEL_VERSION } from "../../dist/src/backends/wasm/kernels.gen.js";
import { parseLlamaConfig } from "../../dist/src/model/config.js";
import { ggufEntries } from "../../dist/src/model/gguf-entries.js";
import { llamaTensors } from "../../dist/src/model/tensors.js";
import { planImage } from "../../dist/src/pack/image-plan.js";
import { writePack } from "../../dist/src/pack/write-pack.js";
import { directoryTarget } from "../../dist/src/platform/host/directory.js";
import { compileTokenizer } from "../../dist/src/tokenizers/compile-tokenizer.js";
import { SHAPES } from "./synthetic-shapes.mjs";
import { syntheticTokenizer } from "./synthetic-tokenizer.mjs";
import { syntheticTensor } from "./synthetic-weights.mjs";

/** To be changed with what these files make. */
const GENERATOR_VERSION = 1;

/** The tensors of `--quant auto`, and how many numbers the model has: those of norms and matrices. */
export function planSynthetic(name) {
  const { config: fields, like, pre } = SHAPES[name];
  const config = parseLlamaConfig(fields, `synthetic ${name}`);
  const tensors = llamaTensors(config);
  const file = {
    name: `synthetic-${name}`,
    metadata: new Map(),
    tensors: new Map(
      tensors.map(({ gguf, shape, role }) => [gguf, syntheticTensor(gguf, shape, role)]),
    ),
  };
  const entries = ggufEntries(file, config, { quantization: "auto", profile: "default" });
  const parameters = tensors.reduce(
    (n, { shape }) => n + shape.reduce((m, size) => m * size, 1),
    0,
  );
  return { name: file.name, like, pre, config, entries, parameters };
}

/**
 * The folder of the pack below `folder`, written now unless it is there, made by this generator for these
 * kernels.
 *
 * @param say told what is done, when it takes a while.
 */
export async function makeSyntheticPack(name, folder, say) {
  const plan = planSynthetic(name);
  const path = join(folder, plan.name);
  const made = createHash("sha256")
    .update(
      JSON.stringify([GENERATOR_VERSION, KERNEL_VERSION, plan.config, planImage(plan.entries)]),
    )
    .digest("hex");
  const known = await readFile(join(path, "manifest.json"), "utf8").catch(() => undefined);
  if (known !== undefined && JSON.parse(known).source.sha256 === made) return { ...plan, path };

  say(`making ${plan.name}`);
  await rm(path, { recursive: true, force: true });
  const { metadata, bos, eos } = syntheticTokenizer(plan.config.vocab_size, plan.pre);
  await writePack({
    entries: plan.entries,
    manifest: {
      name: plan.name,
      license: null,
      config: { ...plan.config },
      generation_config: { bos_token_id: bos, eos_token_id: eos },
      chat_template: null,
      quantization: { requested: "auto", profile: "default", kv: "int16" },
      // No file: its bytes are those of the tensors, its hash what they are made from.
      source: {
        name: plan.name,
        bytes: plan.entries.reduce((n, { tensor }) => n + tensor.bytes, 0),
        sha256: made,
      },
    },
    tokenizer: compileTokenizer(metadata),
    target: directoryTarget(path),
  });
  return { ...plan, path };
}
