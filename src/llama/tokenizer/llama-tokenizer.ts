/**
 * LlamaTokenizer, the "slow" one: SentencePiece between added tokens. Texts with special tokens in
 * them differ from LlamaTokenizerFast in their spaces, as in transformers.
 *
 * Source: LlamaTokenizer and PreTrainedTokenizer in transformers 4.57.
 */
import { PronkError } from "../../errors.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { compileSentencePieceModel } from "../../tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../tokenizers/load-tokenizer.ts";
import {
  type Encoding,
  encodingOf,
  joinEncodings,
  specialEncoding,
} from "../../tokenizers/pipeline/encoding.ts";
import { SpecialTokens } from "../../tokenizers/special-tokens.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { AddedToken } from "../../tokenizers/tokenizer-json.ts";
import type { CallOptions, DecodeOptions, EncodedRow, TextInput } from "./batch-encoding.ts";
import { type CallPlan, planCall } from "./call-plan.ts";
import { type Assembled, PreTrainedTokenizerBase } from "./pretrained-tokenizer-base.ts";
import { decodeSlow, joinTokens, type SlowVocabulary } from "./slow-decoding.ts";
import { truncateSlow } from "./slow-truncation.ts";
import {
  type FileSink,
  type FilesByName,
  readTokenizerFiles,
  writeFile,
} from "./tokenizer-files.ts";
import { type TokenizerOptions, tokenOf } from "./tokenizer-options.ts";

export interface LlamaTokenizerOptions extends TokenizerOptions {
  /** The bytes of tokenizer.model. */
  readonly vocab_file: Uint8Array;
}

const MARK = "\u2581";

export class LlamaTokenizer extends PreTrainedTokenizerBase {
  readonly is_fast = false;
  readonly legacy: boolean;
  add_bos_token: boolean;
  add_eos_token: boolean;
  readonly add_prefix_space: boolean;
  readonly spaces_between_special_tokens: boolean;
  protected override readonly isLlama2 = true;
  readonly #file: Uint8Array;
  readonly #sp: Tokenizer;
  readonly #added = new Map<number, AddedToken>();
  readonly #addedIds = new Map<string, number>();
  #search: SpecialTokens | undefined;
  #length: number;

  /** @throws PronkError "bad_format"; "unsupported" for options and models that are random. */
  constructor(options: LlamaTokenizerOptions) {
    super({ bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", ...options });
    for (const [name, value] of Object.entries(options.sp_model_kwargs ?? {})) {
      if (value === undefined || value === null || value === false) continue;
      throw new PronkError("unsupported", `LlamaTokenizer: sp_model_kwargs.${name}`);
    }
    this.legacy = options.legacy ?? true;
    this.add_bos_token = options.add_bos_token ?? true;
    this.add_eos_token = options.add_eos_token ?? false;
    this.add_prefix_space = options.add_prefix_space ?? true;
    this.spaces_between_special_tokens = options.spaces_between_special_tokens ?? false;
    this.#file = options.vocab_file;
    const own = this.legacy ? undefined : false;
    this.#sp = loadTokenizer(compileSentencePieceModel(options.vocab_file, own));
    this.#length = this.#sp.vocabSize;
    for (const [id, token] of Object.entries(options.added_tokens_decoder ?? {})) {
      this.#set(Number(id), tokenOf(token, false));
    }
    for (const token of this.roles.all()) this.addToken(token);
  }

  /** From a folder, or from its files by name. */
  static async fromPretrained(
    source: SourceFolder | FilesByName,
    options: TokenizerOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<LlamaTokenizer> {
    const { signal, ...given } = options;
    const files = await readTokenizerFiles(source, signal);
    if (files.tokenizerModel === undefined) {
      const why = "no tokenizer.model; LlamaTokenizerFast reads tokenizer.json";
      throw new PronkError("not_found", `${files.name}: ${why}`);
    }
    return new LlamaTokenizer({ ...files.options, ...given, vocab_file: files.tokenizerModel });
  }

  get vocab_size(): number {
    return this.#sp.vocabSize;
  }

  get length(): number {
    return this.#length;
  }

  tokenToId(token: string): number | undefined {
    return this.#addedIds.get(token) ?? this.#sp.tokenId(token);
  }

  idToToken(id: number): string | undefined {
    const added = this.#added.get(id);
    if (added !== undefined) return added.content;
    if (!Number.isInteger(id) || id < 0 || id >= this.#sp.vocabSize) return undefined;
    return this.#sp.tokenText(id);
  }

  get added_tokens_decoder(): Record<number, AddedToken> {
    return Object.fromEntries([...this.#added].sort(([a], [b]) => a - b));
  }

  #set(id: number, token: AddedToken): void {
    if (!Number.isInteger(id) || id < 0 || id > this.#length) {
      throw new PronkError("bad_format", `LlamaTokenizer: added token with the id ${id}`);
    }
    this.#added.set(id, token);
    this.#addedIds.set(token.content, id);
    this.#search = undefined;
    this.#length = Math.max(this.#length, id + 1);
  }

  protected addToken(token: AddedToken): boolean {
    if (this.#addedIds.has(token.content)) return false;
    const id = this.tokenToId(token.content);
    if (token.special && !this.roles.has(token.content)) {
      this.roles.addAdditional(token);
    }
    this.#set(id ?? this.#length, token);
    return id === undefined;
  }

  protected rolesChanged(): void {
    for (const token of this.roles.all()) this.addToken(token);
  }

  protected encodeText(text: TextInput, type: number, options: CallOptions): Encoding {
    const split = options.split_special_tokens ?? this.split_special_tokens;
    const texts = typeof text === "string" ? [text] : text;
    const ids = texts.flatMap((part) => this.#tokenize(part, split));
    return encodingOf(ids, undefined, type);
  }

  #tokenize(text: string, splitSpecial: boolean): number[] {
    if (this.legacy || text === "") return this.#tokenizeParts(text, splitSpecial);
    const plain = text.replaceAll(MARK, " ");
    const ids = this.#tokenizeParts(this.add_prefix_space ? MARK + plain : plain, splitSpecial);
    // A space that was put before a special token is no text.
    const mark = this.#sp.tokenId(MARK);
    const special = ids.length > 1 && ids[0] === mark && this.all_special_ids.includes(ids[1]!);
    return special ? ids.slice(1) : ids;
  }

  #tokenizeParts(text: string, splitSpecial: boolean): number[] {
    const encode = (part: string): number[] => this.#sp.encode(part, { addSpecialTokens: false });
    if (splitSpecial) return encode(text);
    const ids: number[] = [];
    for (const part of this.#split(text)) {
      if (part.id !== undefined) ids.push(part.id);
      else if (part.text !== "") ids.push(...encode(part.text));
    }
    return ids;
  }

  /** Added tokens and the texts between them, with the white space that tokens take. */
  #split(text: string): { id: number | undefined; text: string }[] {
    this.#search ??= new SpecialTokens([...this.#addedIds]);
    const search = this.#search;
    const parts: { id: number | undefined; text: string }[] = [];
    let at = 0;
    for (let found = search.next(text, at); found !== undefined; found = search.next(text, at)) {
      if (found.start > at) parts.push({ id: undefined, text: text.slice(at, found.start) });
      parts.push({ id: found.id, text: text.slice(found.start, found.end) });
      at = found.end;
    }
    if (at < text.length) parts.push({ id: undefined, text: text.slice(at) });
    parts.forEach((part, i) => {
      if (part.id === undefined) return;
      const token = this.#added.get(part.id)!;
      const left = parts[i - 1];
      const right = parts[i + 1];
      if (token.rstrip && right?.id === undefined && right) right.text = right.text.trimStart();
      if (token.lstrip && left?.id === undefined && left) left.text = left.text.trimEnd();
      if (!token.single_word) return;
      if (left?.text && !left.text.endsWith(" ")) {
        parts[i - 1] = { id: undefined, text: left.text + part.text };
        parts[i] = { id: undefined, text: "" };
      } else if (right?.text && !right.text.startsWith(" ")) {
        parts[i + 1] = { id: undefined, text: part.text + right.text };
        parts[i] = { id: undefined, text: "" };
      }
    });
    return parts;
  }

  protected assemble(
    first: Encoding,
    second: Encoding | undefined,
    plan: CallPlan,
    options: CallOptions,
  ): Assembled {
    const special = options.add_special_tokens !== false;
    const added = special ? this.numSpecialTokensToAdd(second !== undefined) : 0;
    const total = first.ids.length + (second?.ids.length ?? 0) + added;
    const cut = truncateSlow(
      first.ids,
      second?.ids,
      plan.truncation === undefined ? 0 : Math.max(0, total - (plan.maxLength ?? 0)),
      plan.truncation ?? "longest_first",
      options.stride ?? 0,
      this.truncation_side,
    );
    const around = (ids: readonly number[], type: number): Encoding[] => [
      ...(special && this.add_bos_token ? [specialEncoding(this.bos_token_id!, type)] : []),
      encodingOf(ids, undefined, type),
      ...(special && this.add_eos_token ? [specialEncoding(this.eos_token_id!, type)] : []),
    ];
    const parts = [...around(cut.ids, 0), ...(cut.pair === undefined ? [] : around(cut.pair, 1))];
    return {
      encoding: joinEncodings(parts),
      overflowing_tokens: cut.overflowing,
      num_truncated_tokens: total - (plan.maxLength ?? total),
    };
  }

  /** Ids without special tokens as a call would give them. */
  prepareForModel(
    ids: readonly number[],
    pair?: readonly number[],
    options: CallOptions = {},
  ): EncodedRow {
    const encoding = (row: readonly number[], type: number): Encoding =>
      encodingOf(row, undefined, type);
    const plan = planCall(options, this.model_max_length);
    const second = pair === undefined ? undefined : encoding(pair, 1);
    return this.finish(this.assemble(encoding(ids, 0), second, plan, options), plan, options);
  }

  numSpecialTokensToAdd(pair = false): number {
    return (Number(this.add_bos_token) + Number(this.add_eos_token)) * (pair ? 2 : 1);
  }

  buildInputsWithSpecialTokens(ids: readonly number[], pair?: readonly number[]): number[] {
    return this.#around(ids, pair, this.bos_token_id!, this.eos_token_id!, (id) => id);
  }

  override getSpecialTokensMask(
    ids: readonly number[],
    pair?: readonly number[],
    already_has_special_tokens = false,
  ): number[] {
    if (already_has_special_tokens) return super.getSpecialTokensMask(ids, pair, true);
    return this.#around(ids, pair, 1, 1, () => 0);
  }

  createTokenTypeIdsFromSequences(ids: readonly number[], pair?: readonly number[]): number[] {
    const first = this.#around(ids, undefined, 0, 0, () => 0);
    if (pair === undefined) return first;
    return [...first, ...this.#around(pair, undefined, 1, 1, () => 1)];
  }

  #around(
    ids: readonly number[],
    pair: readonly number[] | undefined,
    bosValue: number,
    eosValue: number,
    toValue: (id: number) => number,
  ): number[] {
    const bos = this.add_bos_token ? [bosValue] : [];
    const eos = this.add_eos_token ? [eosValue] : [];
    const first = [...bos, ...ids.map(toValue), ...eos];
    return pair === undefined ? first : [...first, ...bos, ...pair.map(toValue), ...eos];
  }

  convertTokensToString(tokens: readonly string[]): string {
    return joinTokens(this.#slowVocabulary(), tokens);
  }

  #slowVocabulary(): SlowVocabulary {
    return {
      sp: this.#sp,
      tokenOf: (id) => this.convertIdsToTokens(id),
      special: new Set(this.all_special_tokens),
      added: new Set(this.#addedIds.keys()),
      additional: this.additional_special_tokens.filter(
        (token) => this.tokenToId(token)! >= this.vocab_size,
      ),
      legacy: this.legacy,
      addPrefixSpace: this.add_prefix_space,
    };
  }

  protected decodeIds(ids: readonly number[], options: DecodeOptions): string {
    return decodeSlow(
      this.#slowVocabulary(),
      ids,
      options.skip_special_tokens ?? false,
      options.spaces_between_special_tokens ?? true,
    );
  }

  protected savedClass(): string {
    return "LlamaTokenizer";
  }

  protected override savedFields(): Readonly<Record<string, unknown>> {
    return {
      add_bos_token: this.add_bos_token,
      add_eos_token: this.add_eos_token,
      add_prefix_space: this.add_prefix_space,
      legacy: this.legacy,
      pad_token: this.pad_token,
      sp_model_kwargs: {},
      spaces_between_special_tokens: this.spaces_between_special_tokens,
      use_default_system_prompt: this.use_default_system_prompt,
    };
  }

  protected vocabularyFiles(legacy_format: boolean | null): [string, Uint8Array][] {
    if (legacy_format !== false) return [["tokenizer.model", this.#file]];
    throw new PronkError(
      "bad_request",
      "Only fast tokenizers (instances of PreTrainedTokenizerFast) can be saved in non legacy format.",
      { param: "legacy_format" },
    );
  }

  /** Writes tokenizer.model. @returns the names of the files. */
  async saveVocabulary(sink: FileSink, filename_prefix?: string): Promise<string[]> {
    const name = `${filename_prefix === undefined ? "" : `${filename_prefix}-`}tokenizer.model`;
    await writeFile(sink, name, this.#file);
    return [name];
  }
}
