/**
 * How a tokenizer.json turns text into words: its normalizer and pre-tokenizer, as the combinations
 * that Llama's tokenizers have. Others are refused by name.
 */
import { PronkError } from "../../errors.ts";
import { isSpace } from "../segment-encoder.ts";
import { splitPattern } from "../split-pattern.ts";
import type { TokenizerJson } from "../tokenizer-json.ts";
import type { TokenizerKind, WordPattern } from "../vocabulary.ts";
import { type WordScanner, wordScanner } from "../word-patterns.ts";
import { type NormalizerStep, readNormalizer } from "./normalizer.ts";
import { isRecord } from "./post-processor.ts";

/**
 * Where a space is put in front: nowhere; at each part between added tokens (`parts`), unless it
 * begins with one (`unspaced-parts`), or only where the text begins (`text`).
 */
export type SpacePrefix = "none" | "parts" | "unspaced-parts" | "text";

export interface Recipe {
  readonly kind: TokenizerKind;
  /** Steps that are not part of `spacePrefix` or of the kind itself. */
  readonly normalizer: readonly NormalizerStep[];
  readonly spacePrefix: SpacePrefix;
  /** The pattern, when it is one of the built-in ones. */
  readonly pattern: WordPattern | undefined;
  /** Undefined: words of SentencePiece. */
  readonly scanner: WordScanner | undefined;
}

const MARK = "\u2581";

/** Digits in runs of three at most, as Llama 3 splits text. */
export const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const ONE_DIGIT = "\\p{N}";

/** The scanner of a pattern: a built-in one, several times as fast, where there is one. */
function patternScanner(pattern: string): WordScanner {
  const known = knownPattern([pattern]);
  return known === undefined ? splitPattern(pattern) : wordScanner(known);
}

function knownPattern(patterns: readonly string[]): WordPattern | undefined {
  const [first, second] = patterns;
  if (patterns.length === 1 && first === LLAMA3_PATTERN) return "llama-3";
  if (patterns.length === 1 && first === GPT2_PATTERN) return "gpt-2";
  if (patterns.length === 2 && first === ONE_DIGIT && second === GPT2_PATTERN) return "smollm";
  return undefined;
}

/** @throws PronkError "unsupported" naming the part; "bad_format". */
export function readRecipe(json: Pick<TokenizerJson, "normalizer" | "pre_tokenizer">): Recipe {
  const steps = flatten(json.pre_tokenizer);
  const normalizer = readNormalizer(json.normalizer);
  return steps.some(({ type }) => type === "ByteLevel")
    ? byteLevelRecipe(steps, normalizer)
    : metaspaceRecipe(steps, normalizer);
}

type Step = Readonly<Record<string, unknown>>;

function byteLevelRecipe(steps: readonly Step[], normalizer: NormalizerStep[]): Recipe {
  const patterns: string[] = [];
  let spacePrefix: SpacePrefix = "none";
  steps.forEach((step, i) => {
    if (step.type === "ByteLevel") {
      if (i !== steps.length - 1) throw unsupported("ByteLevel that is not the last");
      if (step.use_regex !== false) patterns.push(GPT2_PATTERN);
      if (step.add_prefix_space !== false) {
        if (i > 0) throw unsupported("ByteLevel with add_prefix_space behind others");
        spacePrefix = "unspaced-parts";
      }
    } else if (step.type === "Digits") {
      patterns.push(step.individual_digits === true ? ONE_DIGIT : `${ONE_DIGIT}+`);
    } else if (step.type === "Split") {
      patterns.push(readSplit(step));
    } else {
      throw unsupported(String(step.type));
    }
  });
  const pattern = knownPattern(patterns);
  const scanner = pattern === undefined ? staged(patterns.map(patternScanner)) : undefined;
  return {
    kind: "byte-level",
    normalizer,
    spacePrefix,
    pattern,
    scanner: scanner ?? wordScanner(pattern!),
  };
}

function readSplit(step: Step): string {
  const { pattern, behavior } = step;
  if (behavior !== "Isolated") throw unsupported(`Split with behavior ${String(behavior)}`);
  if (!isRecord(pattern)) throw unsupported("Split without a pattern");
  if (typeof pattern.Regex === "string") return pattern.Regex;
  if (typeof pattern.String !== "string" || pattern.String === "") {
    throw unsupported("Split without a pattern");
  }
  return pattern.String.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

function metaspaceRecipe(steps: readonly Step[], normalizer: NormalizerStep[]): Recipe {
  const isMarking = (step: NormalizerStep): boolean =>
    step.type === "replace" && step.from === " " && step.to === MARK;
  const rest = normalizer.filter((step) => !isMarking(step));
  let spacePrefix: SpacePrefix = "none";
  let scanner: WordScanner | undefined;
  const last = rest.at(-1);
  if (last?.type === "prepend" && (last.text === MARK || last.text === " ")) {
    rest.pop();
    spacePrefix = "parts";
  }
  const [step, ...more] = steps;
  if (more.length > 0 || (step !== undefined && step.type !== "Metaspace")) {
    throw unsupported(steps.map(({ type }) => String(type)).join(", "));
  }
  if (step !== undefined) {
    if ((step.replacement ?? MARK) !== MARK) throw unsupported("Metaspace with another mark");
    const scheme = step.prepend_scheme ?? (step.add_prefix_space === false ? "never" : "always");
    if (spacePrefix === "none" && scheme !== "never") {
      spacePrefix = scheme === "first" ? "text" : "unspaced-parts";
    }
    if (step.split !== false) scanner = scanMetaspace;
  } else if (rest.length === normalizer.length) {
    throw unsupported("none, and no normalizer that marks spaces");
  }
  return { kind: "sentencepiece", normalizer: rest, spacePrefix, pattern: undefined, scanner };
}

/** A space and what is behind it up to the next. */
function scanMetaspace(text: string, start: number, end: number): number {
  let i = start + 1;
  while (i < end && !isSpace(text.charCodeAt(i))) i++;
  return i;
}

/** Each scanner splits the words of the one before it. */
function staged(scanners: readonly WordScanner[]): WordScanner {
  if (scanners.length === 0) return (_text, _start, end) => end;
  /** Where the word of each stage ends that `next` lies in. */
  const ends = scanners.map(() => 0);
  let last = "";
  let next = -1;
  return (text, start, end) => {
    if (text !== last || start !== next || start === 0) ends.fill(start);
    let limit = end;
    for (const [i, scan] of scanners.entries()) {
      if (ends[i]! <= start || ends[i]! > limit) ends[i] = scan(text, start, limit);
      limit = ends[i]!;
    }
    last = text;
    next = limit;
    return limit;
  };
}

const MAX_DEPTH = 8;

function flatten(value: unknown, depth = 0): Step[] {
  if (value === null || value === undefined) return [];
  if (!isRecord(value) || depth > MAX_DEPTH) {
    throw new PronkError("bad_format", "tokenizer.json: pre_tokenizer");
  }
  if (value.type !== "Sequence") return [value];
  if (!Array.isArray(value.pretokenizers)) throw unsupported("Sequence without a list");
  return value.pretokenizers.flatMap((step) => flatten(step, depth + 1));
}

function unsupported(what: string): PronkError {
  const supported = "ByteLevel, Digits, Split with Isolated, Metaspace, Sequence";
  return new PronkError(
    "unsupported",
    `tokenizer.json: pre_tokenizer ${what}; supported: ${supported}`,
  );
}
