/** A pipeline from each kind of file. */
import { compileBpeModel } from "../compile-bpe-model.ts";
import { idsOfTypes, textsOfTypes } from "../special-tokens.ts";
import { readTokenizerJson, type TokenizerJson } from "../tokenizer-json.ts";
import {
  LITERAL,
  readVocabulary,
  TokenType,
  type Vocabulary,
  writeVocabulary,
} from "../vocabulary.ts";
import { type WordScanner, wordScanner } from "../word-patterns.ts";
import { type DecoderStep, llamaDecoder, readDecoder } from "./decoder.ts";
import { checkSteps } from "./growth.ts";
import { bosEosProcessor, NO_POST_PROCESSOR, readPostProcessor } from "./post-processor.ts";
import { type Recipe, readRecipe, type SpacePrefix } from "./recipe.ts";
import { TokenizerPipeline } from "./tokenizer-pipeline.ts";

/**
 * Reads a tokenizer.json.
 *
 * @throws PronkError "bad_format" saying where; "unsupported" naming the part that is not known.
 */
export function pipelineFromJson(bytes: Uint8Array, name?: string): TokenizerPipeline {
  const json = readTokenizerJson(bytes, name);
  const recipe = readRecipe(json);
  const decoder = readDecoder(json.decoder);
  checkSteps(recipe.normalizer, "normalizer");
  checkSteps(decoder ?? [], "decoder");
  const vocabulary = compileJson(json, recipe);
  return new TokenizerPipeline({
    vocabulary,
    modelSize: json.model.ids.length,
    recipe,
    added: json.added_tokens,
    postProcessor: readPostProcessor(json.post_processor, vocabulary.size),
    decoder,
    source: {
      normalizer: json.normalizer,
      pre_tokenizer: json.pre_tokenizer,
      post_processor: json.post_processor,
      decoder: json.decoder,
      unk_token: json.model.unk_token,
      fuse_unk: json.model.fuse_unk,
      byte_fallback: json.model.byte_fallback,
    },
    modelIds: sparseIds(json.model.ids),
  });
}

/** 1 for the model's ids, unless they are 0 to n - 1. */
function sparseIds(ids: Uint32Array): Uint8Array | undefined {
  let end = 0;
  for (const id of ids) end = Math.max(end, id + 1);
  if (end === ids.length) return undefined;
  const marks = new Uint8Array(end);
  for (const id of ids) marks[id] = 1;
  return marks;
}

function compileJson(json: TokenizerJson, recipe: Recipe): Vocabulary {
  return readVocabulary(
    writeVocabulary({
      ...compileBpeModel(json, recipe.kind),
      pattern: recipe.pattern ?? "gpt-2",
      addBos: false,
      addEos: false,
      addSpacePrefix: recipe.spacePrefix !== "none",
      bosId: undefined,
      eosId: undefined,
      padId: undefined,
      eogIds: new Uint32Array(0),
    }),
  );
}

/** How a compiled vocabulary, as from GGUF or tokenizer.model, is used. */
export interface VocabularyUse {
  /** Default: `parts` where the vocabulary has a space in front, else none. */
  readonly spacePrefix?: SpacePrefix;
  /** Words, in place of the vocabulary's own pattern. */
  readonly scanner?: WordScanner;
  /** Default: as the vocabulary says. */
  readonly decoder?: readonly DecoderStep[];
  /** Tokens of the model; those behind them are added ones. Default: all. */
  readonly modelSize?: number;
}

/** The pipeline of a compiled vocabulary: its control, unknown and user-defined tokens are added ones. */
export function pipelineFromVocabulary(
  vocabulary: Vocabulary,
  use: VocabularyUse = {},
): TokenizerPipeline {
  const { kind, pattern, addBos, addEos, bosId, eosId, addSpacePrefix, types } = vocabulary;
  const prefix = vocabulary.spacePrefixOnce ? "text" : "parts";
  const byteLevel = kind === "byte-level";
  const ofType = (wanted: readonly number[]): [string, number][] =>
    textsOfTypes(vocabulary, (type) => wanted.includes(type & ~LITERAL));
  const special: [string, number][] = ofType([TokenType.control, TokenType.unknown]);
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const isHole = (type: number): boolean => type === (TokenType.unused | LITERAL);
  const holes = idsOfTypes(types, isHole).length;
  return new TokenizerPipeline({
    vocabulary,
    modelSize: use.modelSize ?? vocabulary.size - holes,
    modelIds: holes === 0 ? undefined : types.map((type) => Number(!isHole(type))),
    recipe: {
      kind,
      normalizer: [],
      spacePrefix: use.spacePrefix ?? (addSpacePrefix ? prefix : "none"),
      pattern: byteLevel ? pattern : undefined,
      scanner: use.scanner ?? (byteLevel ? wordScanner(pattern) : undefined),
    },
    added: [
      ...special.map(([content, id]) => ({ id, content, ...flags, special: true })),
      ...ofType([TokenType.userDefined]).map(([content, id]) => ({
        id,
        content,
        ...flags,
        special: false,
      })),
    ],
    postProcessor: bosEosProcessor(
      addBos ? bosId : undefined,
      addEos ? eosId : undefined,
      NO_POST_PROCESSOR,
    ),
    decoder: use.decoder ?? (byteLevel ? [{ type: "byte-level" }] : llamaDecoder(addSpacePrefix)),
  });
}
