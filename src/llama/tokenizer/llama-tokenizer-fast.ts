/**
 * LlamaTokenizerFast: BPE with byte fallback and no normalization, from a tokenizer.json or, as
 * transformers converts it, from SentencePiece's tokenizer.model.
 *
 * Source: LlamaTokenizerFast and LlamaConverter in transformers 4.57.
 */
import { PronkError } from "../../errors.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { compileSentencePieceModel } from "../../tokenizers/compile-tokenizer.ts";
import { llamaDecoder } from "../../tokenizers/pipeline/decoder.ts";
import {
  pipelineFromJson,
  pipelineFromVocabulary,
} from "../../tokenizers/pipeline/load-pipeline.ts";
import { bosEosProcessor } from "../../tokenizers/pipeline/post-processor.ts";
import type { TokenizerPipeline } from "../../tokenizers/pipeline/tokenizer-pipeline.ts";
import { readVocabulary } from "../../tokenizers/vocabulary.ts";
import { PreTrainedTokenizerFast } from "./pretrained-tokenizer-fast.ts";
import {
  type FileSink,
  type FilesByName,
  readTokenizerFiles,
  writeFile,
} from "./tokenizer-files.ts";
import type { TokenizerOptions } from "./tokenizer-options.ts";

export interface LlamaTokenizerFastOptions extends TokenizerOptions {
  /** The bytes of tokenizer.model. */
  readonly vocab_file?: Uint8Array;
  /** The bytes of tokenizer.json. */
  readonly tokenizer_file?: Uint8Array;
}

export class LlamaTokenizerFast extends PreTrainedTokenizerFast {
  readonly legacy: boolean;
  readonly add_prefix_space: boolean | null;
  protected override readonly isLlama2 = true;
  protected override readonly defaultPaddingSide = "left";
  readonly #model: Uint8Array | undefined;
  #addBos: boolean;
  #addEos: boolean;

  /**
   * From tokenizer_file, unless it is not there or add_prefix_space asks for another form and
   * vocab_file can give it.
   *
   * @throws PronkError "bad_request" without a file; "bad_format"; "unsupported".
   */
  constructor(options: LlamaTokenizerFastOptions) {
    super(pipelineOf(options), {
      bos_token: "<s>",
      eos_token: "</s>",
      unk_token: "<unk>",
      ...options,
    });
    this.padding_side = options.padding_side ?? this.defaultPaddingSide;
    this.legacy = options.legacy ?? true;
    this.add_prefix_space = options.add_prefix_space ?? null;
    this.#model = options.vocab_file;
    this.#addBos = options.add_bos_token ?? true;
    this.#addEos = options.add_eos_token ?? false;
    this.updatePostProcessor();
  }

  /** From a folder, or from its files by name. */
  static async fromPretrained(
    source: SourceFolder | FilesByName,
    options: TokenizerOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<LlamaTokenizerFast> {
    const { signal, ...given } = options;
    const files = await readTokenizerFiles(source, signal);
    return new LlamaTokenizerFast({
      ...files.options,
      ...given,
      ...(files.tokenizerModel === undefined ? {} : { vocab_file: files.tokenizerModel }),
      ...(files.tokenizerJson === undefined ? {} : { tokenizer_file: files.tokenizerJson }),
    });
  }

  get add_bos_token(): boolean {
    return this.#addBos;
  }
  set add_bos_token(value: boolean) {
    this.#addBos = value;
    this.updatePostProcessor();
  }
  get add_eos_token(): boolean {
    return this.#addEos;
  }
  set add_eos_token(value: boolean) {
    this.#addEos = value;
    this.updatePostProcessor();
  }

  /** Puts the present BOS and EOS around texts; setters of both call it. */
  updatePostProcessor(): void {
    const idOf = (name: "bos_token" | "eos_token", adds: boolean): number | undefined => {
      if (!adds) return undefined;
      const id = name === "bos_token" ? this.bos_token_id : this.eos_token_id;
      if (id !== null) return id;
      throw new PronkError("bad_request", `tokenizer: add_${name} without a ${name}`);
    };
    this.pipeline.postProcessor = bosEosProcessor(
      idOf("bos_token", this.#addBos),
      idOf("eos_token", this.#addEos),
      this.pipeline.postProcessor,
    );
  }

  protected override rolesChanged(): void {
    this.updatePostProcessor();
  }

  override buildInputsWithSpecialTokens(
    ids: readonly number[],
    pair?: readonly number[],
  ): number[] {
    const bos = this.#addBos ? [this.bos_token_id!] : [];
    const eos = this.#addEos ? [this.eos_token_id!] : [];
    const first = [...bos, ...ids, ...eos];
    return pair === undefined ? first : [...first, ...bos, ...pair, ...eos];
  }

  /** A tokenizer.model beside it lets LlamaTokenizer read it, too. */
  protected override savedClass(): string {
    return this.#model === undefined ? "LlamaTokenizerFast" : "LlamaTokenizer";
  }

  protected override savedFields(hasModelFile: boolean): Readonly<Record<string, unknown>> {
    return {
      add_bos_token: this.#addBos,
      add_eos_token: this.#addEos,
      // Any value has the tokenizer made from tokenizer.model, also by transformers.
      add_prefix_space: hasModelFile ? this.add_prefix_space : null,
      legacy: this.legacy,
      use_default_system_prompt: this.use_default_system_prompt,
    };
  }

  protected override vocabularyFiles(legacy_format: boolean | null): [string, Uint8Array][] {
    const files: [string, Uint8Array][] = [];
    if (legacy_format !== false && this.#model !== undefined) {
      files.push(["tokenizer.model", this.#model]);
    }
    if (legacy_format !== true) files.push(["tokenizer.json", this.pipeline.toJson()]);
    if (files.length > 0) return files;
    throw new PronkError(
      "bad_request",
      "LlamaTokenizerFast: legacy_format needs a tokenizer.model, which it was made without",
      { param: "legacy_format" },
    );
  }

  /**
   * Writes tokenizer.model. @returns the names of the files.
   * @throws PronkError "bad_request" when the tokenizer was made without one.
   */
  async saveVocabulary(sink: FileSink, filename_prefix?: string): Promise<string[]> {
    if (this.#model === undefined) {
      throw new PronkError("bad_request", "tokenizer: it was made without a tokenizer.model");
    }
    const name = `${filename_prefix === undefined ? "" : `${filename_prefix}-`}tokenizer.model`;
    await writeFile(sink, name, this.#model);
    return [name];
  }
}

function pipelineOf(options: LlamaTokenizerFastOptions): TokenizerPipeline {
  const { vocab_file, tokenizer_file, add_prefix_space } = options;
  const converts = add_prefix_space !== undefined && add_prefix_space !== null;
  if (tokenizer_file !== undefined && !(converts && vocab_file !== undefined)) {
    return pipelineFromJson(tokenizer_file);
  }
  if (vocab_file === undefined) {
    throw new PronkError("bad_request", "LlamaTokenizerFast: no vocab_file and no tokenizer_file");
  }
  const prefixed = add_prefix_space === true;
  const legacy = options.legacy ?? true;
  return pipelineFromVocabulary(readVocabulary(compileSentencePieceModel(vocab_file)), {
    spacePrefix: prefixed ? (legacy ? "parts" : "text") : "none",
    decoder: llamaDecoder(prefixed),
  });
}
