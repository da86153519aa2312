/**
 * fairseq2's Llama tokenizers: encoders by mode, decoders, vocabulary info, over Hugging Face's
 * directories (`hg`), tiktoken files or SentencePiece models (`sp`).
 *
 * Source: fairseq2/models/llama/tokenizer.py and fairseq2/data/tokenizers (0.8.1).
 */
import { PronkError } from "../../errors.ts";
import type { ChatMessage } from "../../templates/chat-template.ts";
import type { ChatTemplateOptions } from "./chat.ts";
import { doubleBos, type WarningTarget, warnOnce } from "./double-bos.ts";

export type EncoderMode = "default" | "prompt" | "prompt_response" | "as_is";

export interface EncoderOptions {
  /** Only null: Llama's tokenizers know no tasks. */
  readonly task?: string | null;
  /** Only null: Llama's tokenizers know no languages. */
  readonly lang?: string | null;
  /** Default: `default`, BOS and EOS. After a chat template, which writes both, `as_is`. */
  readonly mode?: string | null;
}

export interface TokenEncoder {
  (text: string): number[];
  /** The spellings of what encoding gives. */
  encodeAsTokens(text: string): string[];
  /** Ids in front of and behind each text; null for none. */
  readonly prefix_indices: readonly number[] | null;
  readonly suffix_indices: readonly number[] | null;
}

export interface VocabularyInfo {
  readonly size: number;
  readonly unk_idx: number | null;
  readonly bos_idx: number | null;
  readonly eos_idx: number | null;
  readonly pad_idx: number | null;
  /** Beginning and end of a header. */
  readonly boh_idx: number | null;
  readonly eoh_idx: number | null;
}

/** What the three implementations have in common. */
export interface TokenizerCore {
  readonly vocabInfo: VocabularyInfo;
  /** Undefined where the implementation has none by name. */
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly modes: readonly EncoderMode[];
  /** A text alone. */
  encode(text: string): number[];
  tokenText(id: number): string;
  decode(ids: readonly number[], skipSpecialTokens: boolean): string;
  readonly specialTokens: ReadonlyMap<string, number>;
  applyChatTemplate?(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions,
  ): string | number[];
}

export class Fairseq2Tokenizer implements WarningTarget {
  readonly warnings: string[] = [];
  onWarning: ((warning: string) => void) | undefined;
  readonly #core: TokenizerCore;

  constructor(core: TokenizerCore) {
    this.#core = core;
  }

  get vocabInfo(): VocabularyInfo {
    return this.#core.vocabInfo;
  }
  /** `<|eot_id|>` under use_eot; undefined for SentencePiece. */
  get eosToken(): string | undefined {
    return this.#core.eosToken;
  }
  get bosToken(): string | undefined {
    return this.#core.bosToken;
  }
  get bosTokenId(): number | null {
    return this.vocabInfo.bos_idx;
  }
  get eosTokenId(): number | null {
    return this.vocabInfo.eos_idx;
  }
  get specialTokens(): ReadonlyMap<string, number> {
    return this.#core.specialTokens;
  }

  /** @throws PronkError "unsupported" for a mode that the implementation lacks; "bad_request". */
  createEncoder(options: EncoderOptions = {}): TokenEncoder {
    for (const name of ["task", "lang"] as const) {
      const value = options[name] ?? null;
      if (value === null) continue;
      const why = `\`${name}\` must be \`None\`, but is '${value}' instead.`;
      throw new PronkError("bad_request", why, { param: name });
    }
    const core = this.#core;
    const mode = options.mode ?? "default";
    if (!core.modes.some((known) => known === mode)) {
      const supported = core.modes.join(", ");
      const why = `\`mode\` must be a supported mode, but is ${mode} instead. Supported modes are ${supported}.`;
      throw new PronkError("unsupported", why, { param: "mode" });
    }
    const { bos_idx, eos_idx } = core.vocabInfo;
    const prefix = mode === "default" || mode === "prompt" ? idsOf(bos_idx) : null;
    const suffix = mode === "default" || mode === "prompt_response" ? idsOf(eos_idx) : null;
    const bos = prefix === null || bos_idx === null ? undefined : core.tokenText(bos_idx);
    const encode = (text: string): number[] => {
      if (bos !== undefined && text.startsWith(bos)) {
        const as_is = core.modes.includes("as_is") ? 'mode "as_is"' : "createRawEncoder()";
        warnOnce(this, doubleBos(bos, as_is));
      }
      return [...(prefix ?? []), ...core.encode(text), ...(suffix ?? [])];
    };
    return Object.assign(encode, {
      encodeAsTokens: (text: string): string[] => encode(text).map((id) => core.tokenText(id)),
      prefix_indices: prefix,
      suffix_indices: suffix,
    });
  }

  /** An encoder of the text alone; of `sp` it has no mode. */
  createRawEncoder(): TokenEncoder {
    const core = this.#core;
    return Object.assign((text: string) => core.encode(text), {
      encodeAsTokens: (text: string) => core.encode(text).map((id) => core.tokenText(id)),
      prefix_indices: null,
      suffix_indices: null,
    });
  }

  createDecoder(
    options: { readonly skip_special_tokens?: boolean } = {},
  ): (ids: readonly number[]) => string {
    return (ids) => this.#core.decode(ids, options.skip_special_tokens ?? false);
  }

  /** Of `hg`: the text of a chat, or its ids. @throws PronkError "unsupported" of the others. */
  applyChatTemplate(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions = {},
  ): string | number[] {
    if (this.#core.applyChatTemplate === undefined) {
      throw new PronkError(
        "unsupported",
        "chat templates need the Hugging Face implementation, hg",
      );
    }
    return this.#core.applyChatTemplate(messages, options);
  }
}

function idsOf(id: number | null): readonly number[] | null {
  return id === null ? null : [id];
}
