/** Opens a GGUF model: it is packed straight into memory, through the packer's own code. */
import { readGguf } from "../formats/gguf/read-gguf.ts";
import type { MetadataValue, ModelFile } from "../formats/model-file.ts";
import type { LlamaConfig } from "../model/config.ts";
import { readGgufConfig } from "../model/gguf-config.ts";
import { ggufEntries } from "../model/gguf-entries.ts";
import type { QuantizationOptions } from "../pack/form-choice.ts";
import type { ByteSource } from "../sources/source.ts";
import { compileTokenizer } from "../tokenizers/compile-tokenizer.ts";
import type { ManifestFacts } from "./opened-model.ts";
import { cacheFor, type OpenedSource, openPackedSource, slug } from "./packed-source.ts";

export interface GgufOptions extends QuantizationOptions {
  /** What to call the model. Default: the file's general.name, as a slug. */
  readonly id?: string;
}

export type OpenedGguf = OpenedSource & { readonly file: ModelFile };

/**
 * @throws PronkError "bad_format", "unsupported" (another architecture or type), "source_failed".
 */
export async function openGguf(
  sources: readonly ByteSource[],
  options: GgufOptions,
  signal?: AbortSignal,
): Promise<OpenedGguf> {
  const file = await readGguf(sources, signal);
  const config = await readGgufConfig(file, signal);
  const entries = ggufEntries(file, config, options);
  const source = openPackedSource({
    entries,
    facts: ggufFacts(file, config, sources, options),
    config,
    manifestConfig: { ...config },
    compileTokenizer: async () => (hasTokenizer(file) ? compileTokenizer(file.metadata) : null),
  });
  return { ...source, file };
}

/** llama.cpp writes `no_vocab` into models that come without one; older files said `none`. */
function hasTokenizer({ metadata }: ModelFile): boolean {
  const kind = metadata.get("tokenizer.ggml.model");
  return kind !== undefined && kind !== "no_vocab" && kind !== "none";
}

function ggufFacts(
  { metadata, name }: ModelFile,
  config: LlamaConfig,
  sources: readonly ByteSource[],
  options: GgufOptions,
): ManifestFacts {
  const { quantization, profile } = options;
  const text = (key: string): string | null => {
    const value = metadata.get(key);
    return typeof value === "string" ? value : null;
  };
  const ids = ["bos", "eos", "unknown", "padding"].flatMap((kind) => {
    const id: MetadataValue | undefined = metadata.get(`tokenizer.ggml.${kind}_token_id`);
    const field = { unknown: "unk", padding: "pad" }[kind] ?? kind;
    return typeof id === "number" && id < config.vocab_size ? [[`${field}_token_id`, id]] : [];
  });
  const fileName = name.split(/[\\/]/).at(-1) ?? name;
  return {
    name: options.id ?? slug(text("general.name") ?? fileName.replace(/\.gguf$/i, "")),
    license: text("general.license"),
    generation_config: Object.fromEntries(ids),
    chat_template: text("tokenizer.chat_template"),
    quantization: {
      requested: quantization,
      profile,
      kv: cacheFor(quantization, profile),
    },
    source: {
      name: fileName,
      bytes: sources.reduce((sum, { size }) => sum + size, 0),
      sha256: null,
    },
  };
}
