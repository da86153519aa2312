/**
 * Tokenizers of tokenizer.json files (and of what is compiled from GGUF and tiktoken): the pipeline
 * of the `tokenizers` library. Offsets, overflowing windows.
 *
 * Source: PreTrainedTokenizerFast in transformers 4.57; utils/truncation.rs of tokenizers.
 */
import { PronkError } from "../../errors.ts";
import {
  type Encoding,
  joinEncodings,
  truncateEncoding,
} from "../../tokenizers/pipeline/encoding.ts";
import { addedCount, postProcess } from "../../tokenizers/pipeline/post-processor.ts";
import type { TokenizerPipeline } from "../../tokenizers/pipeline/tokenizer-pipeline.ts";
import type { AddedToken } from "../../tokenizers/tokenizer-json.ts";
import type { CallOptions, DecodeOptions, TextInput } from "./batch-encoding.ts";
import { type CallPlan, planCall } from "./call-plan.ts";
import { type Assembled, PreTrainedTokenizerBase } from "./pretrained-tokenizer-base.ts";
import { type TokenizerOptions, tokenOf } from "./tokenizer-options.ts";

export class PreTrainedTokenizerFast extends PreTrainedTokenizerBase {
  readonly is_fast = true;
  protected readonly pipeline: TokenizerPipeline;

  constructor(pipeline: TokenizerPipeline, options: TokenizerOptions = {}) {
    super(options);
    this.pipeline = pipeline;
    const decoder = Object.entries(options.added_tokens_decoder ?? {})
      .map(([id, token]) => [Number(id), tokenOf(token, false)] as const)
      .sort(([a], [b]) => a - b);
    for (const [, token] of decoder) {
      const id = pipeline.tokenId(token.content);
      if (id === undefined || !isSame(pipeline.addedToken(id), token)) pipeline.addToken(token);
    }
    for (const token of this.roles.all()) {
      const id = pipeline.tokenId(token.content);
      if (id === undefined || pipeline.addedToken(id) === undefined) pipeline.addToken(token);
    }
  }

  get vocab_size(): number {
    return this.pipeline.modelSize;
  }

  get length(): number {
    return this.pipeline.size;
  }

  tokenToId(token: string): number | undefined {
    return this.pipeline.tokenId(token);
  }

  idToToken(id: number): string | undefined {
    return this.pipeline.tokenText(id);
  }

  get added_tokens_decoder(): Record<number, AddedToken> {
    return Object.fromEntries(this.pipeline.addedTokens());
  }

  protected addToken(token: AddedToken): boolean {
    const isNew = this.pipeline.tokenId(token.content) === undefined;
    this.pipeline.addToken(token);
    return isNew;
  }

  protected rolesChanged(): void {}

  protected savedClass(): string {
    return "PreTrainedTokenizerFast";
  }

  protected vocabularyFiles(legacy_format: boolean | null): [string, Uint8Array][] {
    if (legacy_format !== true) return [["tokenizer.json", this.pipeline.toJson()]];
    throw new PronkError(
      "bad_request",
      "Your tokenizer does not have a legacy version defined and therefore cannot register this version. You might consider leaving the legacy_format at `None` or setting it to `False`.",
      { param: "legacy_format" },
    );
  }

  numSpecialTokensToAdd(pair = false): number {
    return addedCount(this.pipeline.postProcessor, pair);
  }

  buildInputsWithSpecialTokens(ids: readonly number[], pair: readonly number[] = []): number[] {
    return [...ids, ...pair];
  }

  createTokenTypeIdsFromSequences(ids: readonly number[], pair: readonly number[] = []): number[] {
    return [...ids.map(() => 0), ...pair.map(() => 1)];
  }

  protected override idsOf(text: TextInput, options: CallOptions): number[] {
    const { padding, truncation, text_pair } = planOf(options, this.model_max_length);
    if (typeof text !== "string" || padding || truncation || text_pair) {
      return super.idsOf(text, options);
    }
    const ids = this.pipeline.encodeIds(text, options.add_special_tokens !== false, {
      splitSpecialTokens: options.split_special_tokens ?? this.split_special_tokens,
    });
    this.checkStart(ids, options);
    return ids;
  }

  protected encodeText(text: TextInput, type: number, options: CallOptions): Encoding {
    const settings = {
      splitSpecialTokens: options.split_special_tokens ?? this.split_special_tokens,
      offsets: options.return_offsets_mapping === true,
      words: options.return_word_ids === true,
    };
    if (typeof text === "string") return this.pipeline.encode(text, type, settings);
    return joinEncodings(
      text.map((word, i) => {
        const encoding = this.pipeline.encode(word, type, { ...settings, words: false });
        const words = new Int32Array(encoding.ids.length).fill(i);
        return settings.words ? { ...encoding, words } : encoding;
      }),
    );
  }

  protected assemble(
    first: Encoding,
    second: Encoding | undefined,
    plan: CallPlan,
    options: CallOptions,
  ): Assembled {
    const special = options.add_special_tokens !== false;
    const added = special ? this.numSpecialTokensToAdd(second !== undefined) : 0;
    const room = Math.max(0, (plan.maxLength ?? 0) - added);
    const [a, b] =
      plan.truncation === undefined
        ? [first, second]
        : this.#truncate(first, second, room, plan.truncation, options.stride ?? 0);
    return { encoding: postProcess(this.pipeline.postProcessor, a, b, special) };
  }

  #truncate(
    first: Encoding,
    second: Encoding | undefined,
    room: number,
    strategy: NonNullable<CallPlan["truncation"]>,
    stride: number,
  ): [Encoding, Encoding | undefined] {
    const lengths = [first.ids.length, second?.ids.length ?? 0] as const;
    const excess = lengths[0] + lengths[1] - room;
    if (excess <= 0) return [first, second];
    const cut = (encoding: Encoding, length: number): Encoding =>
      truncateEncoding(encoding, length, stride, this.truncation_side);
    if (strategy === "longest_first") {
      if (second === undefined) return [cut(first, lengths[0] - excess), undefined];
      const [a, b] = longestFirst(...lengths, room);
      return [cut(first, a), cut(second, b)];
    }
    const target = strategy === "only_first" ? first : second;
    if (target === undefined) {
      throw new PronkError("bad_request", "tokenizer: truncation only_second of a single text");
    }
    const left = target.ids.length - excess;
    if (left <= 0) {
      throw new PronkError(
        "bad_request",
        `tokenizer: truncation ${strategy}: ${excess} of ${target.ids.length} tokens to remove`,
        { param: "max_length" },
      );
    }
    return strategy === "only_first" ? [cut(first, left), second] : [first, cut(target, left)];
  }

  convertTokensToString(tokens: readonly string[]): string {
    return this.pipeline.decodeSpelled(tokens);
  }

  protected decodeIds(ids: readonly number[], options: DecodeOptions): string {
    return this.pipeline.decode(ids, options.skip_special_tokens ?? false);
  }
}

/** Whether a call asks for more than a text's ids. */
function planOf(
  options: CallOptions,
  modelMaxLength: number,
): { padding: boolean; truncation: boolean; text_pair: boolean } {
  const { padding, truncation } = planCall(options, modelMaxLength);
  return {
    padding: padding !== undefined,
    truncation: truncation !== undefined,
    text_pair: options.text_pair !== undefined,
  };
}

/** Lengths that fit together: the longer is cut first. */
function longestFirst(a: number, b: number, room: number): [number, number] {
  let short = Math.min(a, b);
  let long = short > room ? short : Math.max(short, room - short);
  if (short + long > room) {
    short = Math.floor(room / 2);
    long = short + (room % 2);
  }
  return a > b ? [long, short] : [short, long];
}

function isSame(a: AddedToken | undefined, b: AddedToken): boolean {
  if (a === undefined) return false;
  const keys = ["content", "single_word", "lstrip", "rstrip", "normalized", "special"] as const;
  return keys.every((key) => a[key] === b[key]);
}
