/** fairseq2's three implementations of Llama's tokenizer, from their files. */
import { PronkError } from "../../errors.ts";
import type { TokenizerSettings } from "../../hub/llama-tokenizer-hub.ts";
import type { SourceFolder } from "../../sources/source.ts";
import { LLAMA3_TEMPLATE } from "../../templates/builtin/llama3.ts";
import { compileSentencePieceModel } from "../../tokenizers/compile-tokenizer.ts";
import { LLAMA3_SPECIAL, LLAMA3_TOKENS } from "../../tokenizers/llama3-special-tokens.ts";
import { loadTokenizer } from "../../tokenizers/load-tokenizer.ts";
import { TokenTexts } from "../../tokenizers/token-texts.ts";
import { type EncoderMode, Fairseq2Tokenizer, type TokenizerCore } from "./fairseq2-tokenizer.ts";
import { autoTokenizer } from "./load-tokenizer.ts";
import { looksLikeTiktoken, tiktokenPipeline } from "./tiktoken-pipeline.ts";
import type { FilesByName } from "./tokenizer-files.ts";

/** fairseq2's tokenizer configuration; `impl` is `hg` by default, as its pages say. */
export class LLaMATokenizerConfig implements TokenizerSettings {
  readonly impl: "hg" | "tiktoken" | "sp";
  /** `<|eot_id|>` ends a text instead of `<|end_of_text|>`. */
  readonly use_eot: boolean;
  /** How tiktoken splits words, in place of Llama 3's own pattern. */
  readonly split_regex: string | null;

  constructor(options: Partial<TokenizerSettings> = {}) {
    this.impl = options.impl ?? "hg";
    this.use_eot = options.use_eot ?? false;
    this.split_regex = options.split_regex ?? null;
  }
}

const MODES: readonly EncoderMode[] = ["default", "prompt", "prompt_response", "as_is"];
const SP_MODES: readonly EncoderMode[] = ["default", "prompt", "prompt_response"];

const { bos: BOS, end: END, eot: EOT, pad: PAD } = LLAMA3_TOKENS;
const HEADER = [LLAMA3_TOKENS.headerStart, LLAMA3_TOKENS.headerEnd] as const;

/**
 * Loads a tokenizer: of `hg` a directory's files, of the others the bytes of a tokenizer.model.
 *
 * @throws PronkError "unsupported" for settings that the implementation lacks; "bad_request" for
 *   files of another implementation; "bad_format".
 */
export async function loadFairseq2Tokenizer(
  files: SourceFolder | FilesByName | Uint8Array,
  config: TokenizerSettings,
): Promise<Fairseq2Tokenizer> {
  const unsupported = (what: string, field: string): PronkError => {
    const why = `LLaMA ${what} tokenizer does not support \`config.${field}\`.`;
    return new PronkError("unsupported", why, { param: field });
  };
  if (config.impl === "hg") {
    if (config.split_regex !== null) throw unsupported("Hugging Face", "split_regex");
    if (files instanceof Uint8Array) {
      throw new PronkError("bad_request", "impl hg needs a directory with tokenizer.json");
    }
    return new Fairseq2Tokenizer(await huggingFaceCore(files, config.use_eot));
  }
  if (!(files instanceof Uint8Array)) {
    throw new PronkError("bad_request", `impl ${config.impl} needs the bytes of a tokenizer.model`);
  }
  if (config.impl === "tiktoken") return new Fairseq2Tokenizer(tiktokenCore(files, config));
  if (config.use_eot) throw unsupported("SentencePiece", "use_eot");
  if (config.split_regex !== null) throw unsupported("SentencePiece", "split_regex");
  if (looksLikeTiktoken(files)) {
    throw new PronkError("bad_request", "impl sp is of Llama 1 and 2; the file is tiktoken's");
  }
  return new Fairseq2Tokenizer(sentencePieceCore(files));
}

async function huggingFaceCore(
  files: SourceFolder | FilesByName,
  useEot: boolean,
): Promise<TokenizerCore> {
  const tokenizer = await autoTokenizer(files);
  const eos = useEot ? EOT : END;
  const idOf = (token: string): number | null => tokenizer.tokenToId(token) ?? null;
  // Llama 2's directories have neither; their own tokens stand in.
  const isLlama3 = idOf(BOS) !== null;
  const bosToken = isLlama3 ? BOS : (tokenizer.bos_token ?? undefined);
  const eosToken = isLlama3 ? eos : (tokenizer.eos_token ?? undefined);
  if (useEot && idOf(EOT) === null) {
    throw new PronkError("bad_request", `use_eot: the tokenizer has no ${EOT}`, {
      param: "use_eot",
    });
  }
  return {
    vocabInfo: {
      size: tokenizer.vocab_size,
      unk_idx: tokenizer.unk_token_id,
      bos_idx: bosToken === undefined ? null : idOf(bosToken),
      eos_idx: eosToken === undefined ? null : idOf(eosToken),
      pad_idx: isLlama3 ? idOf(PAD) : tokenizer.pad_token_id,
      boh_idx: idOf(HEADER[0]),
      eoh_idx: idOf(HEADER[1]),
    },
    bosToken,
    eosToken,
    modes: MODES,
    encode: (text) => tokenizer.encode(text, { add_special_tokens: false }),
    tokenText: (id) => tokenizer.convertIdsToTokens(id),
    decode: (ids, skip_special_tokens) => tokenizer.decode(ids, { skip_special_tokens }),
    specialTokens: new Map(
      Object.entries(tokenizer.added_tokens_decoder)
        .filter(([, { special }]) => special)
        .map(([id, { content }]) => [content, Number(id)]),
    ),
    // fairseq2 puts its own template in the place of Llama 3's, whether there is one or not.
    applyChatTemplate: (messages, options) =>
      tokenizer.applyChatTemplate(messages, {
        ...(isLlama3 && { chat_template: LLAMA3_TEMPLATE }),
        ...options,
      }),
  };
}

function tiktokenCore(file: Uint8Array, config: TokenizerSettings): TokenizerCore {
  const { vocabulary, pipeline } = tiktokenPipeline(file, config.split_regex);
  const base = vocabulary.size - LLAMA3_SPECIAL.length;
  const specialTokens = new Map(LLAMA3_SPECIAL.map((token, i) => [token, base + i]));
  const texts = new TokenTexts(vocabulary);
  const eosToken = config.use_eot ? EOT : END;
  return {
    vocabInfo: {
      size: vocabulary.size,
      unk_idx: null,
      bos_idx: specialTokens.get(BOS)!,
      eos_idx: specialTokens.get(eosToken)!,
      pad_idx: specialTokens.get(PAD)!,
      boh_idx: specialTokens.get(HEADER[0])!,
      eoh_idx: specialTokens.get(HEADER[1])!,
    },
    bosToken: BOS,
    eosToken,
    modes: MODES,
    specialTokens,
    encode: (text) => {
      const ids: number[] = [];
      // Special tokens that the text spells are tokens, as with tiktoken's allowed_special="all".
      pipeline.encodeInto(text, ids, undefined);
      return ids;
    },
    tokenText: (id) => new TextDecoder().decode(texts.tokenBytes(id)),
    decode: (ids, skip) => pipeline.decode(ids, skip),
  };
}

function sentencePieceCore(file: Uint8Array): TokenizerCore {
  const tokenizer = loadTokenizer(compileSentencePieceModel(file));
  const { bosId, eosId, padId, unkId } = tokenizer;
  return {
    vocabInfo: {
      size: tokenizer.vocabSize,
      unk_idx: unkId ?? null,
      bos_idx: bosId ?? null,
      eos_idx: eosId ?? null,
      pad_idx: padId ?? null,
      boh_idx: null,
      eoh_idx: null,
    },
    bosToken: undefined,
    eosToken: undefined,
    modes: SP_MODES,
    specialTokens: new Map(tokenizer.specialIds().map((id) => [tokenizer.tokenText(id), id])),
    encode: (text) => tokenizer.encode(text, { addSpecialTokens: false }),
    tokenText: (id) => tokenizer.tokenText(id),
    // Control tokens have no text of their own, asked to be skipped or not.
    decode: (ids) => tokenizer.decode(ids, { skipSpecialTokens: true }),
  };
}
