/**
 * What all tokenizer classes have: calls with padding, truncation and tensors, decoding, special
 * tokens by role, chat templates. Names and defaults are those of transformers, methods in camelCase.
 *
 * Source: PreTrainedTokenizerBase in transformers 4.57, tokenization_utils_base.py.
 */
import { PronkError } from "../../errors.ts";
import type { ChatMessage } from "../../templates/chat-template.ts";
import {
  type Encoding,
  encodingOf,
  padEncoding,
  type Side,
  toList,
  toNullable,
  toPairs,
} from "../../tokenizers/pipeline/encoding.ts";
import type { AddedToken } from "../../tokenizers/tokenizer-json.ts";
import {
  type CallOptions,
  cleanUpTokenization,
  type DecodeOptions,
  type EncodedBatch,
  type EncodedRow,
  type EncodedTensors,
  type IntTensor,
  type TextInput,
} from "./batch-encoding.ts";
import { type CallPlan, planCall, toTensors } from "./call-plan.ts";
import { type ChatTemplateOptions, chooseTemplate, renderChat } from "./chat.ts";
import { doubleBos, type WarningTarget, warnOnce } from "./double-bos.ts";
import {
  type SavedTokenizer,
  type SavePretrainedOptions,
  saveTokenizer,
} from "./save-pretrained.ts";
import { SpecialTokensMixin } from "./special-tokens-mixin.ts";
import type { FileSink } from "./tokenizer-files.ts";
import { NO_MAX_LENGTH, savedOptions, type TokenizerOptions } from "./tokenizer-options.ts";

/** One text or pair, encoded; what a slow tokenizer says of its truncation. */
export interface Assembled {
  readonly encoding: Encoding;
  readonly overflowing_tokens?: number[];
  readonly num_truncated_tokens?: number;
}

type RowsToPad = Readonly<Record<string, unknown>> & {
  readonly input_ids: readonly (readonly number[])[];
};

type ReturnTensors = CallOptions & { readonly return_tensors: string };

export abstract class PreTrainedTokenizerBase extends SpecialTokensMixin implements WarningTarget {
  abstract readonly is_fast: boolean;
  padding_side: Side;
  truncation_side: Side;
  model_max_length: number;
  model_input_names: readonly string[];
  clean_up_tokenization_spaces: boolean;
  split_special_tokens: boolean;
  pad_token_type_id = 0;
  chat_template: string | Readonly<Record<string, string>> | null;
  readonly use_default_system_prompt: boolean;
  /** Llama 2's chat template stands in where a tokenizer has none. */
  protected readonly isLlama2: boolean = false;
  protected readonly defaultPaddingSide: Side = "right";
  readonly warnings: string[] = [];
  onWarning: ((warning: string) => void) | undefined;
  readonly #given: Readonly<Record<string, unknown>>;

  constructor(options: TokenizerOptions) {
    super(options);
    this.#given = savedOptions(options);
    this.padding_side = options.padding_side ?? "right";
    this.truncation_side = options.truncation_side ?? "right";
    this.model_max_length = options.model_max_length ?? NO_MAX_LENGTH;
    this.model_input_names = options.model_input_names ?? ["input_ids", "attention_mask"];
    this.clean_up_tokenization_spaces = options.clean_up_tokenization_spaces ?? false;
    this.split_special_tokens = options.split_special_tokens ?? false;
    this.chat_template = options.chat_template ?? null;
    this.use_default_system_prompt = options.use_default_system_prompt ?? false;
    this.onWarning = options.onWarning;
  }

  /** Tokens of the model, without added ones. */
  abstract get vocab_size(): number;
  /** Tokens in all: what embeddings are resized to. */
  abstract get length(): number;
  /** A text without what is put around it. */
  protected abstract encodeText(text: TextInput, type: number, options: CallOptions): Encoding;
  /** Truncated and with special tokens around it. */
  protected abstract assemble(
    first: Encoding,
    second: Encoding | undefined,
    plan: CallPlan,
    options: CallOptions,
  ): Assembled;
  protected abstract decodeIds(ids: readonly number[], options: DecodeOptions): string;
  /** The text of tokens by their spellings. */
  abstract convertTokensToString(tokens: readonly string[]): string;
  abstract get added_tokens_decoder(): Record<number, AddedToken>;
  abstract buildInputsWithSpecialTokens(ids: readonly number[], pair?: readonly number[]): number[];
  abstract createTokenTypeIdsFromSequences(
    ids: readonly number[],
    pair?: readonly number[],
  ): number[];
  /** Special tokens that encoding adds to a text or a pair. */
  abstract numSpecialTokensToAdd(pair?: boolean): number;

  // Texts to tokens.

  /**
   * The ids of a text, with special tokens unless `add_special_tokens` is false; with
   * `return_tensors` as a batch of one.
   */
  encode(text: TextInput, options: ReturnTensors): IntTensor;
  encode(text: TextInput, options?: CallOptions): number[];
  encode(text: TextInput, options: CallOptions = {}): number[] | IntTensor {
    const { return_tensors, return_overflowing_tokens: _, ...rest } = options;
    const ids = this.idsOf(text, rest);
    return return_tensors === undefined ? ids : toTensors({ input_ids: [ids] }).input_ids;
  }

  protected idsOf(text: TextInput, options: CallOptions): number[] {
    return this.#row(text, this.#pairOf(options, 0, false), options).input_ids;
  }

  /** Says once that a text had the token that was put in front of it. */
  protected checkStart(ids: readonly number[], options: CallOptions): void {
    if (ids[0] !== ids[1] || ids.length < 2 || options.add_special_tokens === false) return;
    const { bos_token } = this;
    if (bos_token === null || this.tokenToId(bos_token) !== ids[0]) return;
    warnOnce(this, doubleBos(bos_token, "add_special_tokens: false"));
  }

  /** What calling a tokenizer in Python gives. */
  call(text: string, options: ReturnTensors): EncodedTensors;
  call(text: readonly TextInput[], options: ReturnTensors): EncodedTensors;
  call(
    text: string,
    options: CallOptions & { readonly return_overflowing_tokens: true },
  ): EncodedBatch | EncodedRow;
  call(text: string, options?: CallOptions): EncodedRow;
  call(text: readonly TextInput[], options?: CallOptions): EncodedBatch;
  call(
    text: string | readonly TextInput[],
    options: CallOptions = {},
  ): EncodedRow | EncodedBatch | EncodedTensors {
    const words = options.is_split_into_words === true;
    const isBatch = typeof text !== "string" && (!words || typeof text[0] !== "string");
    const overflows = this.is_fast && options.return_overflowing_tokens === true;
    if (!isBatch && !overflows && options.return_tensors === undefined) {
      return this.#row(text as TextInput, this.#pairOf(options, 0, false), options);
    }
    const texts = isBatch ? (text as readonly TextInput[]) : [text as TextInput];
    const batch = this.#batch(texts, isBatch, options);
    return options.return_tensors === undefined ? batch : toTensors(batch);
  }

  encodePlus(text: string, options?: CallOptions): EncodedRow {
    return this.#row(text, this.#pairOf(options ?? {}, 0, false), options ?? {});
  }

  batchEncodePlus(texts: readonly TextInput[], options?: CallOptions): EncodedBatch {
    return this.#batch(texts, true, options ?? {});
  }

  /** The spellings of a text's tokens. */
  tokenize(text: string, options: CallOptions = {}): string[] {
    return this.encode(text, { add_special_tokens: false, ...options }).map(
      (id) => this.idToToken(id) ?? "",
    );
  }

  #pairOf(options: CallOptions, index: number, isBatch: boolean): TextInput | undefined {
    const { text_pair } = options;
    if (!isBatch || text_pair === undefined) return text_pair as TextInput | undefined;
    return text_pair[index] as TextInput | undefined;
  }

  #row(text: TextInput, pair: TextInput | undefined, options: CallOptions): EncodedRow {
    const plan = planCall(options, this.model_max_length);
    return this.finish(this.#encodeOne(text, pair, plan, options), plan, options);
  }

  /** Padded, with the fields that were asked for. */
  protected finish(assembled: Assembled, plan: CallPlan, options: CallOptions): EncodedRow {
    const [encoding] = this.#pad([assembled.encoding], plan, options);
    return this.#toRow({ ...assembled, encoding: encoding! }, options);
  }

  #encodeOne(
    text: TextInput,
    pair: TextInput | undefined,
    plan: CallPlan,
    options: CallOptions,
  ): Assembled {
    const first = this.encodeText(text, 0, options);
    const second = pair === undefined ? undefined : this.encodeText(pair, 1, options);
    const assembled = this.assemble(first, second, plan, options);
    this.checkStart(assembled.encoding.ids, options);
    return assembled;
  }

  #batch(texts: readonly TextInput[], isBatch: boolean, options: CallOptions): EncodedBatch {
    const plan = planCall(options, this.model_max_length);
    const rows: Assembled[] = [];
    const samples: number[] = [];
    const overflows = this.is_fast && options.return_overflowing_tokens === true;
    texts.forEach((text, i) => {
      const assembled = this.#encodeOne(text, this.#pairOf(options, i, isBatch), plan, options);
      const more = overflows ? assembled.encoding.overflowing : [];
      for (const row of [assembled, ...more.map((encoding) => ({ encoding }))]) {
        rows.push(row);
        samples.push(i);
      }
    });
    const padded = this.#pad(
      rows.map(({ encoding }) => encoding),
      plan,
      options,
    );
    const encoded = padded.map((encoding, i) => this.#toRow({ ...rows[i]!, encoding }, options));
    const batch: Record<string, unknown> = {};
    for (const key of Object.keys(encoded[0] ?? { input_ids: [] })) {
      batch[key] = encoded.map((row) => row[key as keyof EncodedRow]);
    }
    if (overflows) batch.overflow_to_sample_mapping = samples;
    return batch as unknown as EncodedBatch;
  }

  #pad(encodings: readonly Encoding[], plan: CallPlan, options: CallOptions): Encoding[] {
    if (plan.padding === undefined) return [...encodings];
    const id = this.pad_token_id;
    if (id === null) {
      throw new PronkError(
        "bad_request",
        "tokenizer: padding, but there is no pad token; addSpecialTokens({ pad_token }) adds one",
        { param: "padding" },
      );
    }
    let length = plan.maxLength ?? 0;
    if (plan.padding === "longest") {
      length = encodings.reduce((max, { ids }) => Math.max(max, ids.length), 0);
    }
    const multiple = options.pad_to_multiple_of ?? 0;
    if (multiple > 0) length = Math.ceil(length / multiple) * multiple;
    const pad = { id, type: this.pad_token_type_id };
    const side = options.padding_side ?? this.padding_side;
    return encodings.map((encoding) => padEncoding(encoding, length, pad, side));
  }

  #toRow({ encoding, ...truncated }: Assembled, options: CallOptions): EncodedRow {
    const wants = (name: string, asked: boolean | undefined): boolean =>
      asked ?? this.model_input_names.includes(name);
    const row: EncodedRow = { input_ids: encoding.ids as number[] };
    if (wants("token_type_ids", options.return_token_type_ids)) {
      row.token_type_ids = toList(encoding.type_ids);
    }
    if (wants("attention_mask", options.return_attention_mask)) {
      row.attention_mask = toList(encoding.attention_mask);
    }
    if (options.return_special_tokens_mask === true) {
      row.special_tokens_mask = toList(encoding.special_tokens_mask);
    }
    if (options.return_offsets_mapping === true) {
      if (!this.is_fast) throw needsFast("offsets", "return_offsets_mapping");
      row.offset_mapping = toPairs(encoding.places, encoding.ids.length);
    }
    if (options.return_word_ids === true) {
      if (!this.is_fast) throw needsFast("words", "return_word_ids");
      row.word_ids = toNullable(encoding.words, encoding.ids.length);
    }
    if (options.return_sequence_ids === true) {
      row.sequence_ids = toNullable(encoding.sequences, encoding.ids.length);
    }
    if (options.return_length === true) row.length = encoding.ids.length;
    if (!this.is_fast && options.return_overflowing_tokens === true) {
      row.overflowing_tokens = truncated.overflowing_tokens ?? [];
      row.num_truncated_tokens = truncated.num_truncated_tokens ?? 0;
    }
    return row;
  }

  /** Pads rows that were encoded before. */
  pad(
    rows: RowsToPad,
    options?: CallOptions & { readonly return_tensors?: undefined },
  ): EncodedBatch;
  pad(rows: RowsToPad, options: ReturnTensors): EncodedTensors;
  pad(rows: RowsToPad, options: CallOptions = {}): EncodedBatch | EncodedTensors {
    const plan = planCall({ padding: true, ...options, truncation: false }, this.model_max_length);
    const masks = rows.attention_mask as readonly number[][] | undefined;
    const types = rows.token_type_ids as readonly number[][] | undefined;
    const encodings = rows.input_ids.map(
      (ids, i): Encoding => ({
        ...encodingOf(ids, undefined, 0),
        ...(masks === undefined ? {} : { attention_mask: Uint8Array.from(masks[i]!) }),
        ...(types === undefined ? {} : { type_ids: Uint8Array.from(types[i]!) }),
      }),
    );
    const padded = this.#pad(encodings, plan, options);
    const batch: EncodedBatch = {
      input_ids: padded.map(({ ids }) => [...ids]),
      attention_mask: padded.map(({ attention_mask }) => toList(attention_mask)),
      ...(types === undefined
        ? {}
        : { token_type_ids: padded.map(({ type_ids }) => toList(type_ids)) }),
    };
    return options.return_tensors === undefined ? batch : toTensors(batch);
  }

  // Tokens to texts.

  /** @throws PronkError "bad_request" on an id that no token has. */
  decode(ids: number | ArrayLike<number>, options: DecodeOptions = {}): string {
    const text = this.decodeIds(typeof ids === "number" ? [ids] : Array.from(ids), options);
    const cleans = options.clean_up_tokenization_spaces ?? this.clean_up_tokenization_spaces;
    return cleans ? cleanUpTokenization(text) : text;
  }

  batchDecode(rows: readonly ArrayLike<number>[], options: DecodeOptions = {}): string[] {
    return rows.map((ids) => this.decode(ids, options));
  }

  /** Tokens by spelling; made for this call, as the tokenizer keeps none. */
  getVocab(): Map<string, number> {
    const vocab = new Map<string, number>();
    for (let id = 0; vocab.size < this.length && id < MAX_IDS; id++) {
      const token = this.idToToken(id);
      if (token !== undefined) vocab.set(token, id);
    }
    return vocab;
  }

  get vocab(): Map<string, number> {
    return this.getVocab();
  }

  /** Added tokens by content. */
  getAddedVocab(): Record<string, number> {
    return Object.fromEntries(
      Object.entries(this.added_tokens_decoder).map(([id, { content }]) => [content, Number(id)]),
    );
  }

  get added_tokens_encoder(): Record<string, number> {
    return this.getAddedVocab();
  }

  // Sequences of ids.

  /** How many tokens of a text fit beside the special ones. */
  get max_len_single_sentence(): number {
    return this.model_max_length - this.numSpecialTokensToAdd();
  }
  get max_len_sentences_pair(): number {
    return this.model_max_length - this.numSpecialTokensToAdd(true);
  }

  /** 1 for special tokens, 0 for the others. */
  getSpecialTokensMask(
    ids: readonly number[],
    pair?: readonly number[],
    already_has_special_tokens = false,
  ): number[] {
    if (!already_has_special_tokens || pair !== undefined) {
      const why = "the mask of ids without special tokens needs LlamaTokenizer; or ask for";
      throw new PronkError("bad_request", `tokenizer: ${why} return_special_tokens_mask`);
    }
    const special = new Set(this.all_special_ids);
    return ids.map((id) => (special.has(id) ? 1 : 0));
  }

  // Files.

  /** The name that files have for this class. */
  protected abstract savedClass(): string;
  /** The vocabulary's files. @throws PronkError "bad_request" for a format that the class lacks. */
  protected abstract vocabularyFiles(legacy_format: boolean | null): [string, Uint8Array][];
  /** What the class adds to tokenizer_config.json. */
  protected savedFields(_hasModelFile: boolean): Readonly<Record<string, unknown>> {
    return {};
  }

  /**
   * Writes the tokenizer as transformers does: its configuration, special tokens, chat template and
   * vocabulary. @returns the names of the files.
   */
  savePretrained(sink: FileSink, options: SavePretrainedOptions = {}): Promise<string[]> {
    const defaults = { ...DEFAULTS, padding_side: this.defaultPaddingSide };
    const current = Object.entries(defaults).filter(
      ([name, value]) => name in this.#given || this[name as keyof typeof defaults] !== value,
    );
    const files = this.vocabularyFiles(options.legacy_format ?? null);
    const hasModelFile = files.some(([name]) => name === "tokenizer.model");
    const saved: SavedTokenizer = {
      className: this.savedClass(),
      config: {
        ...this.#given,
        ...Object.fromEntries(current.map(([name]) => [name, this[name as keyof this]])),
        model_max_length: this.model_max_length,
        clean_up_tokenization_spaces: this.clean_up_tokenization_spaces,
        ...this.savedFields(hasModelFile),
      },
      roles: this.special_tokens_map,
      added: this.added_tokens_decoder,
      vocabSize: this.vocab_size,
      chatTemplate: this.chat_template,
      files,
    };
    return saveTokenizer(sink, saved, options);
  }

  // Chats.

  /** The text of a chat (`tokenize: false`), its ids, or what a call gives (`return_dict`). */
  applyChatTemplate(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions & { readonly tokenize: false },
  ): string;
  applyChatTemplate(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions & { readonly return_dict: true },
  ): EncodedRow;
  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatTemplateOptions): number[];
  /** Of several chats one each. */
  applyChatTemplate(
    chats: readonly (readonly ChatMessage[])[],
    options: ChatTemplateOptions & { readonly tokenize: false },
  ): string[];
  applyChatTemplate(
    chats: readonly (readonly ChatMessage[])[],
    options: ChatTemplateOptions & { readonly return_dict: true },
  ): EncodedBatch;
  applyChatTemplate(
    chats: readonly (readonly ChatMessage[])[],
    options?: ChatTemplateOptions,
  ): number[][];
  applyChatTemplate(
    messages: readonly ChatMessage[] | readonly (readonly ChatMessage[])[],
    options: ChatTemplateOptions = {},
  ): string | number[] | string[] | number[][] | EncodedRow | EncodedBatch | EncodedTensors {
    const source = {
      template: this.chat_template,
      isLlama2: this.isLlama2,
      useDefaultSystemPrompt: this.use_default_system_prompt,
      specialTokens: this.special_tokens_map,
    };
    const render = (chat: readonly ChatMessage[]): string => renderChat(source, chat, options);
    const several = Array.isArray(messages[0]);
    const texts = several
      ? (messages as readonly (readonly ChatMessage[])[]).map(render)
      : [render(messages as readonly ChatMessage[])];
    if (options.tokenize === false) return several ? texts : texts[0]!;
    // The template has put its special tokens in.
    const call = { ...options, add_special_tokens: false };
    if (call.return_tensors !== undefined) return this.call(texts, call as ReturnTensors);
    const encoded = several ? this.call(texts, call) : this.call(texts[0]!, call);
    return options.return_dict === true ? encoded : encoded.input_ids;
  }

  /** The template that a chat takes. @throws PronkError "bad_request" where there is none. */
  getChatTemplate(
    chat_template?: string,
    tools?: readonly Readonly<Record<string, unknown>>[],
  ): string {
    const source = { template: this.chat_template, isLlama2: this.isLlama2 };
    return chooseTemplate(source, {
      ...(chat_template === undefined ? {} : { chat_template }),
      ...(tools === undefined ? {} : { tools }),
    });
  }
}

/** Attributes that are written when they were given, or are others than these. */
const DEFAULTS = {
  truncation_side: "right",
  split_special_tokens: false,
} as const;

function needsFast(what: string, param: string): PronkError {
  const why = `LlamaTokenizer: ${what} need LlamaTokenizerFast`;
  return new PronkError("bad_request", why, { param });
}

/** Ids are below this; it ends a search for holes that are not there. */
const MAX_IDS = 1 << 21;
