/** The tokenizer's files of a checkpoint that has only a compiled vocabulary, as a pack or GGUF has. */
import { loadTokenizer } from "../tokenizers/load-tokenizer.ts";
import { pipelineFromVocabulary } from "../tokenizers/pipeline/load-pipeline.ts";
import { readVocabulary } from "../tokenizers/vocabulary.ts";
import type { CheckpointFile } from "./checkpoint.ts";

/**
 * tokenizer.json and tokenizer_config.json, written when they are read; with the template, if there is
 * one, chat_template.jinja.
 */
export function vocabularyFiles(
  readBlock: (signal?: AbortSignal) => Promise<Uint8Array> | Uint8Array,
  template: string | null,
): Map<string, CheckpointFile> {
  const files = new Map<string, CheckpointFile>([
    [
      "tokenizer.json",
      {
        read: async (signal) =>
          pipelineFromVocabulary(readVocabulary(await readBlock(signal))).toJson(),
      },
    ],
    ["tokenizer_config.json", { read: async (signal) => configOf(await readBlock(signal)) }],
  ]);
  if (template !== null) files.set(...templateFile(template));
  return files;
}

export function templateFile(template: string): [string, CheckpointFile] {
  return ["chat_template.jinja", { read: async () => new TextEncoder().encode(template) }];
}

function configOf(block: Uint8Array): Uint8Array {
  const tokenizer = loadTokenizer(block);
  const textOf = (id: number | undefined): string | null =>
    id === undefined ? null : tokenizer.tokenText(id);
  const config = {
    bos_token: textOf(tokenizer.bosId),
    clean_up_tokenization_spaces: false,
    eos_token: textOf(tokenizer.eosId),
    pad_token: textOf(tokenizer.padId),
    tokenizer_class: "PreTrainedTokenizerFast",
    unk_token: textOf(tokenizer.unkId),
  };
  return new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`);
}
